"""Normal database URLs, made into what the drivers take."""

import ssl
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url

from llm_backend.database_urls import TLS_OPTIONS, is_sqlite


def file_of(url: str) -> Path | None:
    """The file of a SQLite URL; None for a server."""
    database = make_url(url).database
    return Path(database).absolute() if is_sqlite(url) and database else None


def driver_arguments(url: URL) -> tuple[URL, dict[str, Any]]:
    """A PostgreSQL URL without its TLS options, and the same as an argument of asyncpg."""
    options = {name: str(value) for name, value in url.query.items() if name in TLS_OPTIONS}
    plain = url.difference_update_query(TLS_OPTIONS)
    mode = options.get("sslmode")
    return plain, {} if mode is None else {"ssl": _tls(mode, options)}


def _tls(mode: str, options: dict[str, str]) -> ssl.SSLContext | str | bool:
    """What asyncpg takes as `ssl`, with the meaning that libpq gives each mode."""
    if mode == "disable":
        return False
    if mode in {"allow", "prefer"}:
        return mode
    context = _trusting(options.get("sslrootcert"))
    # As libpq does: an authority that is given is checked, even where only encryption was asked for.
    context.check_hostname = mode == "verify-full"
    if mode == "require" and "sslrootcert" not in options:
        context.verify_mode = ssl.CERT_NONE
    if "sslcert" in options:
        context.load_cert_chain(options["sslcert"], options.get("sslkey"))
    return context


def _trusting(authority: str | None) -> ssl.SSLContext:
    """A client's context that trusts the file `authority`; the system's authorities where there is none."""
    if authority in {None, "system"}:
        return ssl.create_default_context()
    return ssl.create_default_context(cafile=authority)

"""Database URLs as people write them: which are taken, and their one normal form."""

import re
from urllib.parse import parse_qsl

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
"""Accepted schemes, and the driver that serves each."""

TLS_OPTIONS = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey"})
ADDRESS_OPTIONS = frozenset({"host", "port"})
SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_URL = re.compile(
    r"""(?P<scheme>[a-z0-9+]+)://
    (?:(?P<user>[^:/?#@]*)(?::(?P<password>[^@]*))?@)?
    (?P<host>\[[0-9A-Fa-f:.]+\]|[^][:/?\#@\s]*)
    (?::(?P<port>[0-9]{1,5}))?
    (?:/(?P<database>[^?]*))?
    (?:\?(?P<query>.*))?""",
    re.VERBOSE,
)


def normalise(url: str) -> str:
    """`url` with the driver that serves it; a normal URL stays as it is.

    Raises ValueError, which never repeats a password, where the URL is none that this server takes.
    """
    parts = _parts(url.strip())
    driver = DRIVERS.get(scheme := parts["scheme"])
    if driver is None:
        raise ValueError(f"The database must be sqlite:// or postgresql://, not {scheme}://.")
    if driver == DRIVERS["sqlite"]:
        _check_file(parts)
    else:
        _check_options(parts["query"])
    return driver + url.strip().removeprefix(scheme)


def is_sqlite(url: str) -> bool:
    """Whether `url`, normal or not, names a SQLite file."""
    return url.startswith("sqlite")


def password(url: str) -> str | None:
    """The password within `url`, as written there; None where there is none, or `url` cannot be read."""
    found = _URL.fullmatch(url.strip())
    return found["password"] if found else None


def _parts(url: str) -> dict[str, str]:
    found = _URL.fullmatch(url)
    if found is None:
        raise ValueError("The database's URL cannot be read.")
    return found.groupdict("")


def _check_file(parts: dict[str, str]) -> None:
    has_file = parts["database"] not in {"", ":memory:"}
    if not has_file or any(parts[name] for name in ("user", "password", "host", "port", "query")):
        raise ValueError("SQLite needs a file: sqlite:///relative.db or sqlite:////absolute.db, without options.")


def _check_options(query: str) -> None:
    options = dict(parse_qsl(query))
    for name in options:
        if name not in TLS_OPTIONS | ADDRESS_OPTIONS:
            raise ValueError(f"The database's URL has the option {name!r}, which this server does not know.")
    mode = options.get("sslmode")
    if mode is not None and mode not in SSLMODES:
        raise ValueError(f"sslmode must be one of {', '.join(SSLMODES)}.")
    if mode is None and TLS_OPTIONS & options.keys():
        raise ValueError("A certificate in the database's URL needs an sslmode, best verify-full.")

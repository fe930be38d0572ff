"""`llm-backend serve`, and `llm-backend dev`, which is what `make run` does."""

import asyncio
import os
import socket
import sys
from errno import EADDRINUSE
from typing import TYPE_CHECKING, Annotated

import typer

from llm_backend.cli.banner import banner, written
from llm_backend.cli.development import ADMIN_TOKEN, API_KEY, FOLDER, keep, kept
from llm_backend.loading import loading

if TYPE_CHECKING:
    from llm_backend.cli.opening import Opened
    from llm_backend.settings import Settings

DEVELOPMENT_ACCOUNT = "development"
DEVELOPMENT_KEY = "make run"
"""The name of the keys that are this command's own, in the account's list."""

Host = Annotated[str | None, typer.Option(help="The address to listen on. Default: HOST, else 127.0.0.1.")]
Port = Annotated[int | None, typer.Option(help="The port. Default: PORT, else 8000.")]
Workers = Annotated[int | None, typer.Option(help="Processes; more than one needs PostgreSQL.")]


def serve(host: Host = None, port: Port = None, workers: Workers = None) -> None:
    """Serve until told to stop: once lets streams end, twice ends them."""
    from llm_backend.settings import load_settings  # noqa: PLC0415 (the other commands need not wait for it)

    # The options become the environment, so that every worker process reads the same.
    for name, value in (("HOST", host), ("PORT", port), ("WORKERS", workers)):
        if value is not None:
            os.environ[name] = str(value)
    settings = load_settings()
    asyncio.run(_prepare(settings))
    _run(settings)


def dev(port: Port = None) -> None:
    """Serve on this machine with a key and an admin token that stay the same; what `make run` does."""
    from llm_backend.settings import load_settings  # noqa: PLC0415 (as above)

    if port is not None:
        os.environ["PORT"] = str(port)
    if not load_settings().admin_tokens:
        os.environ["ADMIN_TOKEN"] = kept(ADMIN_TOKEN) or keep(ADMIN_TOKEN, os.urandom(24).hex())
    settings = load_settings()
    asyncio.run(_prepare(settings))
    typer.echo(banner(settings, asyncio.run(_development_key()) if settings.auth == "keys" else None))
    _run(settings)


async def _prepare(settings: "Settings") -> None:
    """Whatever would keep the server from working is said now, in one line each."""
    from llm_backend.cli.opening import opened  # noqa: PLC0415 (as above)

    for warning in settings.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    _check_address(settings.host, settings.port)
    async with opened(makes=True):
        pass


def _check_address(host: str, port: int) -> None:
    """End the command where nothing can listen there: the server would say so among the lines of its log."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(address)
    except OSError as error:
        reason = "the port is taken" if error.errno == EADDRINUSE else error.strerror
        sys.exit(f"llm-backend: cannot listen on {written(host)}:{port}: {reason}. HOST and PORT say where.")


def _run(settings: "Settings") -> None:
    with loading():
        from llm_backend.edge.serving import ConnectionLimits, ServerTimes, Serving  # noqa: PLC0415 (as above)
        from llm_backend.edge.workers import serve as serve_workers  # noqa: PLC0415 (as above)

    limits = settings.limits
    serving = Serving(
        settings.host,
        settings.port,
        limits=ConnectionLimits(
            head_seconds=limits.header_seconds,
            stall_seconds=limits.stall_seconds,
            per_address=limits.connections_per_ip or None,
        ),
        times=ServerTimes(grace_seconds=limits.drain_seconds),
    )
    code = serve_workers("llm_backend.app:from_environment", serving, workers=settings.workers)
    sys.exit(1 if code else 0)  # uvicorn's 3 would be taken for a schema that does not fit


async def _development_key() -> str:
    """The key that is kept, as long as the database knows it; else a new one, in place of those before it."""
    from llm_backend.cli.opening import opened  # noqa: PLC0415 (as above)

    old = kept(API_KEY)
    async with opened() as parts:
        if old is not None:
            if await _is_known(parts, old):
                return old
            sys.stderr.write(
                "The database does not know the development key any more: here is a new one; "
                f"run `export KEY=$(cat {FOLDER / API_KEY})` again.\n"
            )
        account = await parts.accounts.ensure(DEVELOPMENT_ACCOUNT)
        await _revoke_earlier(parts, account.id)
        return keep(API_KEY, (await parts.keys.create(account.id, DEVELOPMENT_KEY)).text)


async def _is_known(parts: "Opened", key: str) -> bool:
    from llm_backend.domain.keys import public_id_of  # noqa: PLC0415 (as above)
    from llm_backend.errors import PermissionDenied, Unauthenticated  # noqa: PLC0415 (as above)

    try:
        await parts.keys.authenticate(public_id_of(key), parts.keys.digest(key))
    except (Unauthenticated, PermissionDenied):
        return False
    return True


async def _revoke_earlier(parts: "Opened", account_id: int) -> None:
    """Nobody has the text of these keys any more, or somebody else has it."""
    known = await parts.keys.of_account(account_id)
    earlier = [key.public_id for key in known if key.name == DEVELOPMENT_KEY and key.revoked_at is None]
    for public_id in earlier:
        await parts.keys.revoke(public_id)
    if earlier:
        sys.stderr.write(f"Revoked what `make run` made before and is not kept here: {', '.join(earlier)}.\n")

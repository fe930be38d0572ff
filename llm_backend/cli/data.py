"""`llm-backend export`, `import` and `erase`: data on its way out, in, and away."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Annotated

import typer

from llm_backend.cli.opening import OPERATOR, prepared, tell_of_new
from llm_backend.cli.printing import show
from llm_backend.database_urls import is_sqlite, normalise
from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.erasure import Erased, Erasure
from llm_backend.domain.exports import Exports, Progress
from llm_backend.domain.imports import Brought, Imports
from llm_backend.domain.keys import Keys
from llm_backend.domain.parrot import Moved, Parrot
from llm_backend.domain.responses.summaries import Summaries
from llm_backend.domain.secrets import Secrets, unlock
from llm_backend.errors import InvalidRequest
from llm_backend.settings import load_settings
from llm_backend.storage.database import Database
from llm_backend.storage.dumps import Scope
from llm_backend.storage.engines import UNHURRIED
from llm_backend.storage.urls import file_of

imports = typer.Typer(name="import", help="Data of another database, brought into this one.", no_args_is_help=True)

AccountOption = Annotated[str | None, typer.Option("--account", help="The name or id of an account.")]
UserOption = Annotated[str | None, typer.Option("--user", help="The code of a user.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


def export(
    *,
    account: AccountOption = None,
    user: UserOption = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output without it.")] = None,
) -> None:
    """Write everything, or what is known of one account or user, as JSON lines that `import file` reads."""
    if account is not None and user is not None:
        raise InvalidRequest("One account or one user, not both.", param="user")
    with _written(out) as file:
        counts = asyncio.run(_export(account, user, file))
    typer.echo(", ".join(f"{count} of {name}" for name, count in counts.items() if count), err=True)


@imports.command(name="file")
def import_file(
    file: Annotated[Path, typer.Argument(help="What `export` wrote.", exists=True, dir_okay=False)],
    *,
    as_json: AsJson = False,
) -> None:
    """Bring what `export` wrote: all of it or nothing. Ids stay where they are free."""
    brought = asyncio.run(_import(file))
    if as_json:
        typer.echo(json.dumps(asdict(brought)))
    else:
        rows = [(name, count, brought.renumbered.get(name, 0)) for name, count in brought.counts.items()]
        show(("data", "brought", "with another id"), rows)
    if not brought.knows_its_keys:
        typer.echo("The keys were made under another SECRET_KEY: none of them is recognised here.", err=True)
    if brought.lost_summaries:
        lost = f"Summaries of dialogues that were sealed under another SECRET_KEY: {brought.lost_summaries}."
        typer.echo(f"{lost} What holds them cannot be gone on from here.", err=True)


@imports.command()
def parrot(
    database: Annotated[str, typer.Option(help="The URL of the Parrot database, SQLite or PostgreSQL.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come of it, and change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a Parrot database: accounts, users, chats, messages, usage. Its keys go on working."""
    moved = asyncio.run(_parrot(database, dry_run=dry_run))
    if as_json:
        typer.echo(json.dumps({name: getattr(moved, name) for name in ("brought", "renumbered", "left_out")}))
        return
    rows = [(name, count, moved.renumbered[name], moved.left_out[name]) for name, count in moved.brought.items()]
    show(("data", "would be brought" if dry_run else "brought", "with another id", "left out"), rows)


def erase(
    *,
    account: AccountOption = None,
    user: UserOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase all data of one account or user for ever. What was used stays in the books, without the person."""
    if (account is None) == (user is None):
        raise InvalidRequest("One account or one user.", param="account")
    erased = asyncio.run(_erase(account, user, asks=not yes))
    if as_json:
        typer.echo(json.dumps(asdict(erased)))
    else:
        show(("data", "erased"), list(asdict(erased).items()))


@dataclass(frozen=True, slots=True)
class _Opened:
    """The database of the settings, which may take its time."""

    database: Database
    secrets: Secrets
    clock: SystemClock
    recoverable: bool
    """Whether keys are kept so that they can be read again."""

    @property
    def accounts(self) -> Accounts:
        return Accounts(self.database, self.clock)


@asynccontextmanager
async def _opened(*, makes: bool = False) -> AsyncIterator[_Opened]:
    """`makes` as in `opened`."""
    settings = load_settings()
    url = settings.database_url.get_secret_value()
    configured = settings.secret_key.get_secret_value() if settings.secret_key else None
    is_new = await prepared(url, makes=makes)
    database, clock = Database(url, UNHURRIED), SystemClock()
    try:
        secrets = await unlock(database, configured, clock)
        if is_new:
            tell_of_new(database)
        yield _Opened(database, secrets, clock, settings.keys.recoverable)
    finally:
        await database.close()


async def _export(account: str | None, user: str | None, file: IO[bytes]) -> dict[str, int]:
    async with _opened() as parts:
        account_id = None if account is None else (await parts.accounts.find(account)).id
        with _progress("Exporting") as progress:
            return await Exports(parts.database, parts.clock).write(Scope(account_id, user), file, progress)


async def _import(file: Path) -> Brought:
    async with _opened(makes=True) as parts:
        with _progress("Importing") as progress:
            return await Imports(parts.database, Summaries(parts.secrets), parts.clock).bring(file, OPERATOR, progress)


async def _parrot(url: str, *, dry_run: bool) -> Moved:
    source = Database(_readable(url), UNHURRIED)
    try:
        async with _opened(makes=True) as parts:
            keys = Keys(parts.database, parts.secrets, parts.clock, recoverable=parts.recoverable)
            with _progress("Moving in") as progress:
                moving = Parrot(source, parts.database, keys, parts.clock)
                return await moving.move_in(OPERATOR, rehearses=dry_run, progress=progress)
    finally:
        await source.close()


async def _erase(account: str | None, user: str | None, *, asks: bool) -> Erased:
    async with _opened() as parts:
        erasure = Erasure(parts.database, parts.accounts, parts.clock)
        if account is not None:
            found = await parts.accounts.find(account)
            _confirm(found.name, f"account {found.id} {found.name}", asks=asks)
            return await erasure.account(found.id, OPERATOR)
        person = await erasure.known(user or "")
        _confirm(person.code, f"user {person.code}", asks=asks)
        return await erasure.user(person.id, OPERATOR)


def _confirm(name: str, what: str, *, asks: bool) -> None:
    if asks and typer.prompt(f"This erases all data of {what} for ever. Its name, to go on", err=True) != name:
        raise InvalidRequest("That is another name; nothing was erased.", param="name")


def _readable(url: str) -> str:
    """The URL of a database that is there to be read. Raises InvalidRequest."""
    try:
        normal = normalise(url)
    except ValueError as error:
        raise InvalidRequest(str(error), param="database") from None
    file = file_of(normal)
    if is_sqlite(normal) and (file is None or not file.is_file()):
        raise InvalidRequest(f"There is no file {file}.", param="database")
    return normal


@contextmanager
def _written(out: Path | None) -> Iterator[IO[bytes]]:
    """Where to write: a file for its owner alone, which takes the place of another only when it is whole."""
    if out is None:
        yield sys.stdout.buffer
        return
    if out.is_dir():
        raise typer.BadParameter(f"{out}: Is a directory.", param_hint="--out")
    draft = out.with_name(f".{out.name}.part")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise typer.BadParameter(f"{out}: {error.strerror}.", param_hint="--out") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    """A bar on standard error, where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 (where it is used)
    from rich.progress import Progress as Bar  # noqa: PLC0415 (see above)

    console = Console(stderr=True)
    with Bar(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)

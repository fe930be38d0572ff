"""The shape of the database: what it has, what this version needs, and the way from one to the other."""

import asyncio
import fcntl
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from llm_backend.database_urls import is_sqlite, normalise
from llm_backend.errors import DatabaseUnavailable
from llm_backend.resources import resource
from llm_backend.storage import engines, faults
from llm_backend.storage.urls import file_of

UPGRADE_LOCK = 0x6C6C6D62
"""The number of the advisory lock under which PostgreSQL is migrated."""

VERSION_TABLE = "alembic_version"

REVISION = re.compile(r"\d{4}")

Shape = Literal["empty", "current", "older", "newer", "foreign"]

COMPLAINTS: dict[Shape, str] = {
    "empty": "The database is empty: run `llm-backend db upgrade` once.",
    "older": "The database has schema {found}, this version needs {head}: run `llm-backend db upgrade`.",
    "newer": "The database has schema {found}, this version knows none after {head}: run a newer llm-backend.",
    "foreign": "The database holds tables that are not llm-backend's: give it a database of its own.",
}

MISSING = "There is no database at {file}: run llm-backend where it is, or set DATABASE_URL or LLM_BACKEND_HOME."


class SchemaMismatch(Exception):
    """The database cannot be served from as it is; the message is the one line to print."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a database has (`found`, None without a revision) beside what this version needs (`head`)."""

    shape: Shape
    found: str | None
    head: str

    def complaint(self) -> str:
        """Why the database cannot be served from, in one line."""
        return COMPLAINTS[self.shape].format(found=self.found, head=self.head)


def head() -> str:
    """The newest revision; a migration's file begins with its own."""
    return max(file.name[:4] for file in (resource("migrations") / "versions").glob("[0-9]*.py"))


async def status(url: str) -> Status:
    """What the database has. A SQLite file that is missing is empty, and stays missing.

    Raises DatabaseUnavailable.
    """
    file = file_of(url)
    if file is not None and not file.exists():
        return Status("empty", None, head())
    return await _within(_reading_engine(normalise(url)), _status)


async def upgrade(url: str) -> Status:
    """Bring the database to the newest schema and say what it had before; of several at once, one does it.

    Raises SchemaMismatch where it is newer or foreign, and DatabaseUnavailable.
    """
    file = file_of(url)
    if file is None:
        # Whole tables are rewritten: nothing is said of how they are to be read.
        return await _within(engines.postgresql(normalise(url), engines.UNHURRIED, planned={}), _upgrade)
    async with _alone_in(file.parent):
        _make_for_its_owner(file)
        # A migration that rebuilds a table drops the old one, whose rows others still point to.
        writer = engines.sqlite_writer(normalise(url), engines.UNHURRIED, foreign_keys=False)
        return await _within(writer, _upgrade)


async def current(url: str) -> str:
    """The schema of a database that can be served from; nothing is changed.

    Raises SchemaMismatch, also where no SQLite file is, and DatabaseUnavailable.
    """
    found, file = await status(url), file_of(url)
    if file is not None and not file.exists():
        raise SchemaMismatch(MISSING.format(file=file))
    if found.shape != "current":
        raise SchemaMismatch(found.complaint())
    return found.head


async def ensure(url: str) -> bool:
    """Returns where the database can be served from: whether it was made now, which only an empty SQLite file is.

    Raises SchemaMismatch and DatabaseUnavailable.
    """
    found = await status(url)
    if found.shape == "empty" and is_sqlite(url):
        await upgrade(url)
        return True
    if found.shape != "current":
        raise SchemaMismatch(found.complaint())
    return False


@asynccontextmanager
async def _alone_in(folder: Path) -> AsyncIterator[None]:
    """Keeps out every other process that migrates a file of this folder.

    The file's own lock would be too late: two connections that make a new file a WAL file at once are both refused.
    """
    descriptor = _open_folder(folder)
    try:
        await asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make_for_its_owner(file: Path) -> None:
    """Make a missing file, which will have what people wrote. SQLite gives the files beside it the same permissions."""
    with suppress(OSError):
        # Opening the database will say what is wrong.
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def _open_folder(folder: Path) -> int:
    """A descriptor of `folder`, made if missing. Raises DatabaseUnavailable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise DatabaseUnavailable(f"The database's folder cannot be used: {error}.") from error


async def _within(engine: AsyncEngine, work: Callable[[Connection], Status]) -> Status:
    """What `work` returns, done in one transaction of an engine that is let go afterwards."""
    try:
        with faults.TOLD, faults.TOLD_ON_CONNECTING:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
    except DatabaseUnavailable as error:
        if faults.is_no_database(error):
            raise SchemaMismatch("The file is not a SQLite database.") from error
        raise
    finally:
        await engine.dispose()


def _reading_engine(url: str) -> AsyncEngine:
    if is_sqlite(url):
        return engines.sqlite_reader(url, engines.ONE_AT_A_TIME)
    return engines.postgresql(url, engines.ONE_AT_A_TIME)


def _status(connection: Connection) -> Status:
    tables = set(inspect(connection).get_table_names())
    newest = head()
    if not tables:
        return Status("empty", None, newest)
    if VERSION_TABLE not in tables:
        return Status("foreign", None, newest)
    # Written by Alembic in the migration's own transaction: there is one row, or a migration that never ended.
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608 (a constant)
    return Status(_shape(found, newest), found, newest)


def _shape(found: str | None, newest: str) -> Shape:
    if found == newest:
        return "current"
    if found is None or not REVISION.fullmatch(found):
        return "foreign"
    return "older" if found < newest else "newer"


def _upgrade(connection: Connection) -> Status:
    # SQLite needs no more: its folder is locked, and its transaction began with the lock of the file.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": UPGRADE_LOCK})
    before = _status(connection)
    if before.shape in {"newer", "foreign"}:
        raise SchemaMismatch(before.complaint())
    if before.shape != "current":
        _migrate(connection)
    return before


def _migrate(connection: Connection) -> None:
    # Imported where used: a server whose schema is right never needs it.
    from alembic import command  # noqa: PLC0415 (see above)
    from alembic.config import Config  # noqa: PLC0415 (see above)

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(resource("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    command.upgrade(config, "head")

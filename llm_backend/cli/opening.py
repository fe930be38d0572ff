"""The parts that commands on accounts and keys work with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import typer

from llm_backend.domain.account_budgets import AccountBudgets
from llm_backend.domain.accounts import Accounts
from llm_backend.domain.audit import Author
from llm_backend.domain.batches import Batches
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.directory import Directory
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from llm_backend.domain.users import Users
from llm_backend.settings import load_settings
from llm_backend.storage import schema
from llm_backend.storage.database import Database

OPERATOR = Author("command line")
"""Whom the audit names for what a command changes."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The database of the settings, ready to be asked."""

    accounts: Accounts
    keys: Keys
    users: Users
    directory: Directory
    batches: Batches
    budgets: AccountBudgets


@asynccontextmanager
async def opened(*, makes: bool = False) -> AsyncIterator[Opened]:
    """The parts, made as `serve` makes them.

    `makes`: on a fresh machine the SQLite file and its secret come into being here; otherwise there is none to open.
    Raises SettingsRefused, SchemaMismatch, SecretRefused and DatabaseUnavailable.
    """
    settings = load_settings()
    url = settings.database_url.get_secret_value()
    configured = settings.secret_key.get_secret_value() if settings.secret_key else None
    clock = SystemClock()
    is_new = await prepared(url, makes=makes)
    database = Database(url)
    try:
        secrets = await unlock(database, configured, clock)
        if is_new:
            tell_of_new(database)
        keys = Keys(database, secrets, clock, recoverable=settings.keys.recoverable)
        accounts = Accounts(database, clock, default_tokens=settings.budgets.default_tokens)
        yield Opened(
            accounts,
            keys,
            Users(database, clock),
            Directory(database, clock),
            Batches(database, accounts, keys, clock),
            AccountBudgets(database, clock),
        )
    finally:
        await database.close()


async def prepared(url: str, *, makes: bool) -> bool:
    """Returns where the database is ready: whether it was made now. Raises as `opened`."""
    if makes:
        return await schema.ensure(url)
    await schema.current(url)
    return False


def tell_of_new(database: Database) -> None:
    """In a folder where nobody wanted one, this is how it is noticed."""
    typer.echo(f"made a new database at {database.file}", err=True)

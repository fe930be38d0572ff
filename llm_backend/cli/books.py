"""The parts that commands read the books with: as unhurried as a large ledger needs, and nothing is changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.doctor import Doctor
from llm_backend.domain.explanations import Explanations
from llm_backend.domain.reports import Reports
from llm_backend.settings import load_settings
from llm_backend.storage import schema
from llm_backend.storage.database import Database
from llm_backend.storage.engines import UNHURRIED


@dataclass(frozen=True, slots=True)
class Books:
    """The database of the settings, ready to be read."""

    accounts: Accounts
    reports: Reports
    explanations: Explanations
    doctor: Doctor
    revision: str
    """Of its schema."""


@asynccontextmanager
async def books() -> AsyncIterator[Books]:
    """Nothing comes into being here, not even a SQLite file.

    Raises SettingsRefused, SchemaMismatch and DatabaseUnavailable.
    """
    url = load_settings().database_url.get_secret_value()
    revision = await schema.current(url)
    database, clock = Database(url, UNHURRIED), SystemClock()
    try:
        accounts, reports = Accounts(database, clock), Reports(database, clock)
        yield Books(accounts, reports, Explanations(database), Doctor(database), revision)
    finally:
        await database.close()

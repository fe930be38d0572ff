"""One server for the proofs that only ask: it is started once, as its users start it."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from llm_backend.storage.database import Database
from tests.whole.standing import ADMIN_TOKEN, SECRET_KEY, Standing, standing, told


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A server with the built-in echo model and an account, on a database that it made itself."""
    folder = tmp_path_factory.mktemp("standing")
    with standing(folder, SECRET_KEY=SECRET_KEY, ADMIN_TOKEN=ADMIN_TOKEN) as server:
        server.key = told(folder, "accounts", "create", "tests", SECRET_KEY=SECRET_KEY)["api_key"]
        yield server


@pytest.fixture
def client(server: Standing) -> Iterator[httpx.Client]:
    """Talks to it with the account's key."""
    with httpx.Client(base_url=server.root, headers=server.headers) as client:
        yield client


@pytest.fixture(scope="session")
def powerless_key(server: Standing) -> str:
    """A good key without any scope."""
    return asyncio.run(_powerless(server))


async def _powerless(server: Standing) -> str:
    database = Database(f"sqlite:///{server.folder / 'llm-backend.db'}")
    try:
        clock = SystemClock()
        keys = Keys(database, await unlock(database, SECRET_KEY, clock), clock)
        account = await Accounts(database, clock).ensure("tests")
        return (await keys.create(account.id, scopes=())).text
    finally:
        await database.close()

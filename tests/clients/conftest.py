"""One server for all tests of a module, with an account of its own for each: starting one takes longer than a test."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from tests.faulty import FaultyUpstream
from tests.serving import SECRET_KEY, Running, serving


@pytest.fixture(scope="module")
def toml() -> str:
    """What the shared server's configuration file says; a module may say something else."""
    return ""


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """The environment of the shared server; a module may have another one."""
    return {}


@pytest.fixture(scope="module")
def shared_url(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The database of the shared server; a module may have others."""
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path_factory.mktemp('shared') / 'shared.db')}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    shared_url: str, tmp_path_factory: pytest.TempPathFactory, toml: str, variables: dict[str, Any]
) -> AsyncIterator[Running]:
    """A server with the built-in echo model, for as long as the module's tests run."""
    async with serving(shared_url, tmp_path_factory.mktemp("home"), toml=toml, **variables) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def platform(shared: Running) -> Running:
    """The shared server as the test's own account sees it, with no records yet."""
    clock = SystemClock()
    keys = Keys(shared.database, await unlock(shared.database, SECRET_KEY, clock), clock)
    account, key = await Accounts(shared.database, clock).create_with_key(token_hex(8), keys)
    return replace(shared, account_id=account.id, key=key.text)


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(shared: Running) -> AsyncIterator[AsyncOpenAI]:
    """The SDK with the key of another account of the same server."""
    clock = SystemClock()
    keys = Keys(shared.database, await unlock(shared.database, SECRET_KEY, clock), clock)
    _, key = await Accounts(shared.database, clock).create_with_key(token_hex(8), keys)
    async with AsyncOpenAI(base_url=shared.base_url, api_key=key.text) as sdk:
        yield sdk


@pytest_asyncio.fixture(loop_scope="module")
async def client(platform: Running) -> AsyncIterator[AsyncOpenAI]:
    """The official SDK, as its users make it: with another base URL."""
    async with AsyncOpenAI(base_url=platform.base_url, api_key=platform.key) as sdk:
        yield sdk


@pytest.fixture
async def patient(database_url: str, tmp_path: Path, upstream: FaultyUpstream) -> AsyncIterator[Running]:
    """A server that waits for its upstream as long as one in production, and is quick only to show that it does."""
    toml = "[limits]\nkeep_alive_seconds = 0.05\n"
    url, key = upstream.base_url, "sk-upstream-canary-0123456789abcdef"
    async with serving(database_url, tmp_path, toml=toml, OPENAI_BASE_URL=url, OPENAI_API_KEY=key) as running:
        yield running

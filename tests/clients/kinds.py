"""For modules whose tests pass on every kind of upstream and of database: their shared servers, one after the other.

A module imports `shared_url` and `variables`, and its tests go round four times.
"""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from openai import AsyncOpenAI

from tests.databases import BOTH, Lending
from tests.serving import Running


@pytest.fixture(scope="module", params=["native", "chat"])
def variables(request: pytest.FixtureRequest) -> dict[str, str]:
    """A server that asks the echo for responses, and one that asks it for chats."""
    return {"UPSTREAM_RESPONSES": request.param}


@pytest.fixture(scope="module", params=BOTH)
def shared_url(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    variables: dict[str, str],
) -> Iterator[str]:
    """The URL of a migrated database, on SQLite and on PostgreSQL, empty for each of the servers in turn."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("migrated_file")
        yield f"sqlite:///{shutil.copy(template, tmp_path_factory.mktemp('shared') / 'shared.db')}"
        return
    lending: Lending = request.getfixturevalue("lending")
    with lending.lent() as url:
        yield url


@pytest_asyncio.fixture(loop_scope="module")
async def client(platform: Running) -> AsyncIterator[AsyncOpenAI]:
    """The official SDK, which raises where an answer or an event differs from its types."""
    async with AsyncOpenAI(base_url=platform.base_url, api_key=platform.key, _strict_response_validation=True) as sdk:
        yield sdk


@pytest_asyncio.fixture(loop_scope="module")
async def lenient(platform: Running) -> AsyncIterator[AsyncOpenAI]:
    """The same, for two lists of which its types leave out what a user said: messages of stored chats, compactions."""
    async with AsyncOpenAI(base_url=platform.base_url, api_key=platform.key) as sdk:
        yield sdk

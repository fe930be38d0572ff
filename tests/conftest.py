"""What every test may ask for: a database, a server on it, an upstream that does as it is told."""

import gc
import os
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import httpx
import pytest
from hypothesis import settings

from tests.databases import database, database_url, empty_database_url, lending, migrated_file
from tests.faulty import FaultyUpstream
from tests.looking import is_looked_at, quick, unseen
from tests.serving import Running, serving

# The gate asks the same questions every time; new ones are asked wherever else the tests run. No answer is too late.
settings.register_profile("gate", derandomize=True, deadline=None)
settings.register_profile("anew", deadline=None)
settings.load_profile("gate" if os.environ.get("CI") == "true" else "anew")

__all__ = ["database", "database_url", "empty_database_url", "lending", "migrated_file"]


LONG = (
    "tests/whole/test_schemathesis.py",
    "tests/whole/test_direct_routing.py",
    "tests/proof/",
    "tests/clients/test_dev_command.py",
    "tests/edge/test_server.py",
    "tests/whole/test_access.py",
    "tests/whole/test_direct_trouble.py",
    "tests/storage/test_query_plans.py",
    "tests/faults/test_charges.py",
)
"""What takes longest begins first, in this order: at the end one process would work on it alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: [not item.nodeid.startswith(each) for each in LONG])


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart() -> Generator[None]:
    with quick():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    with nullcontext() if is_looked_at(item) else unseen():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # What is imported meanwhile stays: no collection has to look through it, now or again.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def certificates() -> Iterator[None]:
    """Read once: each client of httpx would read all of them anew, which takes longer than most requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))
        yield


@pytest.fixture
async def running(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A server with the built-in echo model, on each database in turn."""
    async with serving(database_url, tmp_path) as server:
        yield server


@pytest.fixture
async def upstream() -> AsyncIterator[FaultyUpstream]:
    """An upstream on a raw socket, told by the test what to do."""
    async with FaultyUpstream() as faulty:
        yield faulty


@pytest.fixture
async def relaying(database_url: str, tmp_path: Path, upstream: FaultyUpstream) -> AsyncIterator[Running]:
    """A server whose upstream is `upstream`, with deadlines short enough for a test to wait for."""
    deadlines = "[timeouts]\nfirst_byte_seconds = 2\nstream_first_byte_seconds = 2\nidle_seconds = 2\n"
    key = "sk-upstream-canary-0123456789abcdef"
    url = upstream.base_url
    async with serving(database_url, tmp_path, toml=deadlines, OPENAI_BASE_URL=url, OPENAI_API_KEY=key) as server:
        yield server

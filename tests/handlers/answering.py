"""Servers for the tests of responses: whose upstream answers them itself, and whose upstream has chats only."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from llm_backend.errors import Json
from tests.faulty import FaultyUpstream
from tests.handlers.conversing import answers
from tests.serving import Running, serving

KINDS = ("native", "chat")


@pytest_asyncio.fixture(params=KINDS)
async def answering(database_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    """A server with the built-in model, which is asked either way in turn."""
    async with serving(database_url, tmp_path, UPSTREAM_RESPONSES=request.param) as running:
        yield running


@pytest_asyncio.fixture
async def asker(answering: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with httpx.AsyncClient(base_url=answering.base_url, headers=answering.headers, timeout=60) as client:
        yield client


@pytest_asyncio.fixture
async def native(database_url: str, tmp_path: Path, upstream: FaultyUpstream) -> AsyncIterator[Running]:
    """A server whose upstream is `upstream`, which answers responses itself."""
    async with serving(
        database_url,
        tmp_path,
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="sk-upstream",
        UPSTREAM_RESPONSES="native",
    ) as running:
        yield running


@pytest_asyncio.fixture
async def native_client(native: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with httpx.AsyncClient(base_url=native.base_url, headers=native.headers, timeout=60) as client:
        yield client


async def told(client: httpx.AsyncClient, path: str, **body: Json) -> Json:
    """What is answered at `path` below `/responses`, which has to be as the document says."""
    answer = await client.post(f"/responses{path}", json=body)
    assert answer.status_code == 200, answer.text
    answers(f"/responses{path}", "post").validate(answer.json())
    return answer.json()


async def refused(client: httpx.AsyncClient, path: str, **body: Json) -> tuple[int, str, str]:
    """The status, the code and the param of the error there."""
    answer = await client.post(f"/responses{path}", json=body)
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["param"]

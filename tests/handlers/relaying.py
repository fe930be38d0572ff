"""How the tests of what is relayed ask, and what an upstream tells them."""

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from llm_backend.errors import Json
from tests.faulty import FaultyUpstream, event
from tests.serving import SECRET_KEY, Running

JSON = {"content-type": "application/json"}
USED = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}


@pytest_asyncio.fixture
async def client(relaying: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=relaying.base_url, headers=relaying.headers) as client:
        yield client


@pytest_asyncio.fixture
async def other(relaying: Running) -> AsyncIterator[httpx.AsyncClient]:
    """Another account's."""
    clock = SystemClock()
    keys = Keys(relaying.database, await unlock(relaying.database, SECRET_KEY, clock), clock)
    _, key = await Accounts(relaying.database, clock).create_with_key("another", keys)
    async with httpx.AsyncClient(base_url=relaying.base_url, headers={"authorization": f"Bearer {key.text}"}) as client:
        yield client


def a_response(response_id: str = "resp_1", status: str = "completed", **more: Json) -> Json:
    output = [{"type": "message", "id": f"msg_{response_id}", "content": [{"type": "output_text", "text": "Hello"}]}]
    return {
        "id": response_id,
        "object": "response",
        "status": status,
        "model": "m",
        "output": output,
        "error": None,
    } | more


def typed(kind: str, **said: Json) -> bytes:
    return event({"type": kind, **said}).replace(b"data:", f"event: {kind}\ndata:".encode(), 1)


async def made_file(client: httpx.AsyncClient, upstream: FaultyUpstream, file_id: str) -> None:
    upstream.forget()
    upstream.answers({"id": file_id, "object": "file"})
    made = await client.post("/files", files={"file": ("a.txt", b"text")}, data={"purpose": "assistants"})
    assert made.status_code == 200, made.text

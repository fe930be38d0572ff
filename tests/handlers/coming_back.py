"""A client that loses the stream of a chat completion, and comes back for the rest."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
import orjson
from sqlalchemy import select

from llm_backend.errors import Json
from llm_backend.storage.invariants import violations
from llm_backend.storage.responses import Response
from llm_backend.storage.tables import response
from tests.serving import Running

RESUMABLE = {"x-resumable": "true"}

_EVENT = re.compile(r"id: (chatcmpl-\w+):(\d+)\ndata: (.*)")


class Event(NamedTuple):
    stream_id: str
    number: int
    data: str

    @property
    def id(self) -> str:
        return f"{self.stream_id}:{self.number}"


def body(**rest: Json) -> dict[str, Json]:
    return {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True, **rest}


def events(text: str) -> list[Event]:
    """Each of which has an id; comments aside."""
    found = []
    for block in text.split("\n\n")[:-1]:
        if not block.startswith(":"):
            read = _EVENT.fullmatch(block)
            assert read is not None, block
            found.append(Event(read[1], int(read[2]), read[3]))
    return found


def said(found: list[Event]) -> str:
    """The text of all chunks."""
    chunks = [orjson.loads(each.data) for each in found if each.data != "[DONE]"]
    return "".join(choice["delta"].get("content") or "" for each in chunks for choice in each["choices"])


async def streamed(client: httpx.AsyncClient, **rest: Json) -> list[Event]:
    """A stream that its client reads to its end."""
    answer = await client.post("/chat/completions", json=body(**rest), headers=RESUMABLE)
    assert answer.status_code == 200, answer.text
    return events(answer.text)


async def rest(client: httpx.AsyncClient, last: str) -> list[Event]:
    """What follows that event."""
    answer = await client.post("/chat/completions", json=body(), headers=RESUMABLE | {"last-event-id": last})
    assert answer.status_code == 200, answer.text
    return events(answer.text)


async def refused(client: httpx.AsyncClient, headers: dict[str, str], **rest: Json) -> tuple[int, str]:
    """With which status, and by which header."""
    answer = await client.post("/chat/completions", json=body(**rest), headers=headers)
    return answer.status_code, answer.json()["error"]["param"]


@asynccontextmanager
async def reading(client: httpx.AsyncClient, last: str | None = None, **more: Json) -> AsyncIterator["Stream"]:
    """A stream, or the rest of one, that its client leaves at the end of the block."""
    headers = RESUMABLE if last is None else {"last-event-id": last}
    async with client.stream("POST", "/chat/completions", json=body(**more), headers=headers) as answer:
        assert answer.status_code == 200
        yield Stream(answer)


class Stream:
    def __init__(self, answer: httpx.Response) -> None:
        self.stream_id = answer.headers.get("x-stream-id", "")
        self._text = ""
        self._pieces = answer.aiter_text()

    async def events(self, number: int) -> list[Event]:
        """The first so many, as soon as they are here."""
        while len(found := events(self._text)) < number:
            self._text += await anext(self._pieces)
        return found[:number]


async def rows(running: Running) -> list[Response]:
    """What is kept of streams."""
    async with running.database.reading() as session:
        assert await violations(session) == []
        return [Response(**row) for row in (await session.execute(select(response))).mappings()]

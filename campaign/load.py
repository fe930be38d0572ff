"""Clients that stream without a pause, and what each of them was told."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import httpx
import orjson

from campaign.replica import Replica
from campaign.waiting import until
from llm_backend.errors import Json

PAUSE_SECONDS = 0.1
"""Before the next request of a client that was refused."""

AWAY = frozenset({"database_unavailable", "overloaded"})


@dataclass(slots=True)
class Asked:
    """One request, as its client saw it."""

    replica: Replica
    status: int | None = None
    """None where no answer came."""
    request_id: str = ""
    words: int = 0
    """Events with something of the answer."""
    usage: Json = None
    """As it was told to the client."""
    error: str | None = None
    """The code of a refusal, or of the error that ended the stream."""
    is_complete: bool = False
    """Whether the stream came to its `[DONE]`."""

    @property
    def is_refused(self) -> bool:
        """503, or the same as a stream's only event, where the status was committed for the wait."""
        return self.status == httpx.codes.SERVICE_UNAVAILABLE or (not self.words and self.error in AWAY)

    @property
    def is_cut(self) -> bool:
        """The server went away without a word."""
        return not self.is_complete and self.error is None and self.status in {None, httpx.codes.OK}

    def __str__(self) -> str:
        return f"{self.request_id or 'a request'}: {self.status}, {self.words} words, {self.error or 'no error'}"


class Load:
    """So many clients, each with a stream after the other, from `start` until `stop`."""

    def __init__(self, client: httpx.AsyncClient, key: str, replicas: Sequence[Replica], clients: int) -> None:
        self._client = client
        self._headers = {"authorization": f"Bearer {key}"}
        self._replicas = replicas
        self.clients = clients
        self._numbers = count()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False
        self.asked: list[Asked] = []
        """Every request since the start, finished or not."""

    def start(self) -> None:
        self.asked = []
        self._is_over = False
        self._tasks = [asyncio.create_task(self._stream(number)) for number in range(self.clients)]

    async def stop(self) -> None:
        """Returns when the last streams have ended by themselves."""
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def under_way(self) -> None:
        """Returns when every client has seen the beginning of another stream, on the average."""
        first = len(self.asked)

        async def have_begun() -> bool:
            return sum(bool(each.words) for each in self.asked[first:]) >= self.clients

        await until(have_begun)

    async def ask(self, replica: Replica) -> Asked:
        """One request, to its end."""
        asked = Asked(replica)
        self.asked.append(asked)
        try:
            async with self._client.stream(
                "POST", f"{replica.url}/v1/chat/completions", headers=self._headers, json=_body(next(self._numbers))
            ) as answer:
                await _read(answer, asked)
        except httpx.TransportError:
            asked.is_complete = False
        return asked

    async def answers(self, replica: Replica) -> bool:
        """Whether a request of now is answered to its end."""
        return (await self.ask(replica)).is_complete

    async def _stream(self, number: int) -> None:
        replica = self._replicas[number % len(self._replicas)]
        while not self._is_over:
            asked = await self.ask(replica)
            if not asked.is_complete:
                await asyncio.sleep(PAUSE_SECONDS)


def _body(number: int) -> Json:
    """A request that no other is like: its answer takes between half a second and two."""
    words = 10 + number * 7 % 31
    return {
        "model": "echo",
        "messages": [{"role": "user", "content": f"[[words {words}]] [[delay 0.01 between=0.05]] number {number}"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def _read(answer: httpx.Response, asked: Asked) -> None:
    asked.status = answer.status_code
    asked.request_id = answer.headers["x-request-id"]
    if answer.status_code != httpx.codes.OK:
        asked.error = orjson.loads(await answer.aread())["error"]["code"]
        return
    async for line in answer.aiter_lines():
        told = line.removeprefix("data: ")
        if told == "[DONE]":
            asked.is_complete = asked.error is None
        elif told != line:
            _note(orjson.loads(told), asked)


def _note(event: Json, asked: Asked) -> None:
    if "error" in event:
        asked.error = event["error"]["code"] or event["error"]["type"]
        return
    asked.usage = event.get("usage") or asked.usage
    asked.words += any(choice["delta"].get("content") for choice in event["choices"])

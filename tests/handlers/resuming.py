"""A client of `/v1/responses` that loses streams, and reads on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
from sqlalchemy import Table, update

from llm_backend.errors import Json
from llm_backend.storage.tables import reservation, response
from tests.proof.survivors import LONG_AGO
from tests.serving import Running, serving

LATE = 5.0
"""Seconds after which what has to come at once does not come any more."""

ENDS = {"response.completed", "response.incomplete", "response.failed"}


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks a server with the key of an account."""

    client: httpx.AsyncClient

    async def begin(self, said: str, **options: Json) -> Json:
        """A response that is made in the background, as it is at first."""
        return await self.ask("POST", "", {"background": True, "model": "echo", "input": said, **options})

    async def ask(self, method: str, path: str, body: Json = None, status: int = 200) -> Json:
        """The answer's JSON; its status has to be `status`."""
        answer = await self.client.request(method, f"/responses{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def events(self, said: str, most: int | None = None, **options: Json) -> list[Json]:
        """The events of a new response; after so many the socket is closed."""
        return await self._read("POST", "", most, json={"model": "echo", "input": said, "stream": True, **options})

    async def resumed(self, response_id: str, after: int | None = None, most: int | None = None) -> list[Json]:
        """Its events again, behind the number `after`."""
        query = {"stream": "true"} | ({} if after is None else {"starting_after": str(after)})
        return await self._read("GET", f"/{response_id}", most, params=query)

    async def ended(self, response_id: str) -> Json:
        """It, once it has ended."""
        while True:
            told = await self.ask("GET", f"/{response_id}")
            if told["status"] not in {"queued", "in_progress"}:
                return told
            await asyncio.sleep(0.02)

    async def _read(self, method: str, path: str, most: int | None, **asked: Json) -> list[Json]:
        async with self.client.stream(method, f"/responses{path}", **asked) as answer:
            assert answer.status_code == 200, await answer.aread()
            told: list[Json] = []
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    told.append(orjson.loads(line[6:]))
                    if len(told) == most:
                        break
            return told


def numbers(events: list[Json]) -> list[int]:
    return [event["sequence_number"] for event in events]


def text(told: Json) -> str:
    """What a response says."""
    return "".join(part["text"] for item in told["output"] for part in item["content"])


@asynccontextmanager
async def asking(running: Running, root: str | None = None, key: str | None = None) -> AsyncIterator[Asker]:
    """Whoever has `key`; `root`: of another server on the same database."""
    headers = {"authorization": f"Bearer {key or running.key}"}
    async with httpx.AsyncClient(base_url=f"{root or running.root}/v1", headers=headers, timeout=60) as client:
        yield Asker(client)


@asynccontextmanager
async def echoing(url: str, folder: Path, kind: str = "native", *, name: str = "tests") -> AsyncIterator[Running]:
    """A server with the echo model, which is asked for responses or for chats."""
    async with serving(url, folder, name=name, OPENAI_BASE_URL="echo", UPSTREAM_RESPONSES=kind) as running:
        yield running


async def expire(running: Running, table: Table = response) -> None:
    """Let a minute go by in which whoever makes something says nothing."""
    async with running.database.begin() as session:
        await session.execute(update(table).where(table.c.lease_until.is_not(None)).values(lease_until=LONG_AGO))


async def expire_all(running: Running) -> None:
    """The same of what is made, and of what it may cost."""
    await expire(running)
    await expire(running, reservation)

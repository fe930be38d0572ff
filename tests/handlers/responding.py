"""How the tests of responses ask a server, and what its upstream is told to say: responses of its own, or chats."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
from sqlalchemy import func, select, update

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from llm_backend.errors import Json
from llm_backend.storage.tables import account, conversation, item, metadata, response, response_event
from tests.faulty import Cut, FaultyUpstream, chunk, completion, usage
from tests.handlers.relaying import USED, a_response, typed
from tests.serving import SECRET_KEY, Running, serving
from tests.whole.good_requests import bearer

KINDS = ("native", "chat")
PATHS = {"native": "/v1/responses", "chat": "/v1/chat/completions"}


@dataclass(frozen=True)
class Asked:
    """A server, its upstream, and clients of two accounts."""

    running: Running
    upstream: FaultyUpstream
    kind: str
    """What the upstream has."""
    client: httpx.AsyncClient
    other: httpx.AsyncClient

    def will_say(self, *, stream: bool = False) -> None:
        """Have the next request answered `Hello`, for 7 tokens and 5."""
        if self.kind == "chat":
            self.upstream.streams("Hello", chunk(finish="stop"), usage(7, 5)) if stream else self.upstream.answers(
                completion("Hello", prompt=7, tokens=5)
            )
        elif stream:
            self.upstream.streams(*_begun(), typed("response.completed", response=a_response(usage=USED)), Cut)
        else:
            self.upstream.answers(a_response(usage=USED))

    def will_wait(self, go_on: asyncio.Event) -> None:
        """Have the next stream say `Hello`, and end when `go_on` is set."""
        if self.kind == "chat":
            self.upstream.streams("Hello", go_on, chunk(finish="stop"), usage(7, 5))
        else:
            ended = typed("response.completed", response=a_response(usage=USED))
            self.upstream.streams(*_begun(), go_on, ended, Cut)

    def will_break_off(self) -> None:
        """Have the next stream end in the middle of what it says."""
        said = ["Hello"] if self.kind == "chat" else _begun()
        self.upstream.streams(*said, Cut)

    async def made(self, body: Json = None) -> Json:
        """A response that is kept."""
        self.will_say()
        answer = await self.client.post("/responses", json={"model": "m", "input": "Hi"} | (body or {}))
        assert answer.status_code == 200, answer.text
        self.upstream.forget()
        return answer.json()

    async def budget(self, tokens: int) -> None:
        """Give the account a budget of so many tokens."""
        path = f"/api/accounts/{self.running.account_id}/budgets/account"
        async with httpx.AsyncClient(base_url=self.running.root, headers=bearer(self.running.admin_token)) as admin:
            answer = await admin.put(path, json={"budget": tokens})
        assert answer.status_code == 200, answer.text

    async def rows(self) -> list[int]:
        """How many rows there are of all that may be kept."""
        await self.running.quiet()
        async with self.running.database.reading() as session:
            return [
                (await session.execute(select(func.count()).select_from(table))).scalar_one()
                for table in (response, response_event, conversation, item)
            ]

    async def stores_nothing(self) -> None:
        """Let nothing be kept for the account from now on."""
        own = account.c.id == self.running.account_id
        async with self.running.database.begin() as session:
            await session.execute(update(account).where(own).values(stores=False))
        self.running.services.authentication.forget()

    async def where(self, words: str) -> list[str]:
        """The columns of the database in which these words are."""
        await self.running.quiet()
        async with self.running.database.reading() as session:
            return [
                str(column)
                for table in metadata.sorted_tables
                for column in table.c
                for (value,) in await session.execute(select(column))
                if words.encode() in (value if isinstance(value, bytes) else str(value).encode())
            ]


@asynccontextmanager
async def asking(database_url: str, tmp_path: Path, upstream: FaultyUpstream, kind: str) -> AsyncIterator[Asked]:
    """A server whose upstream has responses (`native`) or chats only (`chat`)."""
    async with serving(
        database_url,
        tmp_path,
        OPENAI_BASE_URL=upstream.base_url,
        OPENAI_API_KEY="sk-upstream-canary-0123456789abcdef",
        UPSTREAM_RESPONSES=kind,
    ) as running:
        clock = SystemClock()
        keys = Keys(running.database, await unlock(running.database, SECRET_KEY, clock), clock)
        _, key = await Accounts(running.database, clock).create_with_key("another", keys)
        async with (
            httpx.AsyncClient(base_url=running.base_url, headers=running.headers) as client,
            httpx.AsyncClient(base_url=running.base_url, headers=bearer(key.text)) as other,
        ):
            yield Asked(running, upstream, kind, client, other)


def events_of(answer: httpx.Response) -> list[Json]:
    """The events of a stream."""
    assert answer.status_code == 200, answer.text
    blocks = [block for block in answer.text.split("\n\n") if block.startswith("event: ")]
    return [orjson.loads(block.partition("\ndata: ")[2]) for block in blocks]


def _begun() -> list[bytes]:
    opened = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    return [
        typed("response.created", response=a_response(status="in_progress", output=[])),
        typed("response.output_item.added", output_index=0, item=opened),
        typed("response.output_text.delta", output_index=0, content_index=0, item_id="msg_1", delta="Hello"),
    ]

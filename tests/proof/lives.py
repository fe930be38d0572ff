"""What ten clients ask of a server that is about to die, and what they and their upstream know of it afterwards."""

import asyncio
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import aiohttp
import orjson

from llm_backend.errors import Json
from tests.faulty import DONE, FaultyUpstream, chunk, completion, event, usage
from tests.faulty_connection import Received, Script
from tests.told import Hang, written_head

STAYS = "stays"
"""Said by whoever is not answered to the end."""
PROMPT, SAID = 3, ("To ", "be ", "told")
ANSWERED = 2
"""Tokens of a whole answer."""


class Teller(FaultyUpstream):
    """An upstream that answers whoever asks as they asked, and writes down who it was."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        """What each call said last."""

    async def note(self, request: Received) -> Script:
        await super().note(request)
        if request.method == "GET":
            return _whole({"object": "list", "data": [{"id": "echo", "object": "model"}]})
        said = request.json["messages"][-1]["content"]
        self.calls.append(said)
        is_left_open = said.endswith(STAYS)
        if request.json.get("stream"):
            return _events(is_left_open=is_left_open)
        return Script((Hang,)) if is_left_open else _whole(completion("Yes", prompt=PROMPT, tokens=ANSWERED))


@dataclass(slots=True)
class Asked:
    """One request, and what its client was told."""

    name: str
    key: str | None = None
    streams: bool = False
    is_in_chat: bool = False
    answer: bytes | None = None
    """The whole of it, where it came with 200 or 201 and complete."""


@dataclass(slots=True)
class Life:
    """One server's: from its first request to its death."""

    root: str
    client: aiohttp.ClientSession
    headers: dict[str, str]
    chat: int
    """New: nothing was said in it yet."""
    asked: list[Asked] = field(default_factory=list)
    _asking: list[asyncio.Task[Any]] = field(default_factory=list)

    @classmethod
    async def of(cls, root: str, client: aiohttp.ClientSession, headers: dict[str, str]) -> "Life":
        async with client.post(f"{root}/api/chats", json={"name": "last words"}, headers=headers) as answer:
            chat: int = (await answer.json())["id"]
        return cls(root, client, headers, chat)

    async def load(self) -> bool:
        """Ask for ten things at once; returns, when all are told that will be, whether the server lives."""
        ten = await self._ten()
        tasks = {one.name: asyncio.create_task(self.ask(one)) for one in ten}
        self._asking += tasks.values()
        told = await asyncio.gather(*(task for name, task in tasks.items() if not name.endswith(STAYS)))
        return all(status is not None for status, _ in told)

    async def end(self, ended: asyncio.Event) -> None:
        """Go on until nobody is there to be asked."""
        while await self.load():
            pass
        await ended.wait()
        await asyncio.gather(*self._asking)

    async def ask(self, one: Asked, root: str | None = None) -> tuple[int | None, str | None]:
        """Its status, None where it was cut off, and the code of its error. `root`: of a later server."""
        path = f"/api/chats/{self.chat}/messages" if one.is_in_chat else "/v1/chat/completions"
        headers = self.headers | ({"idempotency-key": one.key} if one.key else {})
        try:
            async with self.client.post((root or self.root) + path, json=_body(one), headers=headers) as answer:
                content = await answer.read()
        except aiohttp.ClientError:
            return None, None
        is_whole = content.endswith(DONE) if one.streams else True
        if answer.status in {200, 201} and is_whole:
            one.answer = content
            return answer.status, None
        return answer.status, orjson.loads(content)["error"]["code"] if answer.status == 409 else None

    async def messages(self, root: str) -> list[tuple[str, str]]:
        """Who said what in the chat, as the server at `root` knows it."""
        async with self.client.get(f"{root}/api/chats/{self.chat}/messages", headers=self.headers) as answer:
            assert answer.status == 200
            return [(each["role"], each["content"]) for each in await answer.json()]

    async def _ten(self) -> list[Asked]:
        """Streams and whole answers, some of which are never finished; one in a chat, one with an idempotency key."""
        some = token_hex(4)
        ten = [Asked(f"{some} stream {number}", streams=True) for number in range(3)]
        ten += [Asked(f"{some} stream {number} {STAYS}", streams=True) for number in range(2)]
        ten += [Asked(f"{some} whole {number}") for number in range(2)]
        ten += [Asked(f"{some} whole {STAYS}"), Asked(f"{some} once", key=some)]
        ten.append(Asked(f"{some} chat", is_in_chat=True))
        self.asked += ten
        return ten


def _body(one: Asked) -> Json:
    if one.is_in_chat:
        return {"content": one.name}
    messages = [{"role": "user", "content": one.name}]
    return {"model": "echo", "messages": messages, "user": one.name, "stream": one.streams}


def _whole(answer: Json) -> Script:
    body = orjson.dumps(answer)
    head = written_head(200, {"content-type": "application/json", "content-length": str(len(body))})
    return Script((head + body,), keeps_open=True)


def _events(*, is_left_open: bool) -> Script:
    head = written_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
    words = [event(chunk(word)) for word in SAID]
    if is_left_open:
        return Script((head, *words, Hang), chunked=True)
    rest = (event(chunk(finish="stop")), event(usage(PROMPT, len(SAID))), DONE)
    return Script((head, *words, *rest), chunked=True, keeps_open=True)

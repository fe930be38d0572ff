"""Asking the echo model in this process."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from llm_backend.upstream.echo import Call, Echo, EchoTransport
from llm_backend.upstream.forms import Form
from llm_backend.upstream.wire import Outbound, Reply

Json = Any

WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}},
            "required": ["city"],
        },
    },
}
CLOCK: Json = {"type": "function", "function": {"name": "get_time"}}


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return orjson.loads(self.body)

    @property
    def message(self) -> Json:
        return self.json["choices"][0]["message"]

    @property
    def error(self) -> Json:
        return self.json["error"]

    @property
    def events(self) -> list[Json]:
        """The payloads of a stream in good order; `[DONE]` is its last, and stays as text."""
        assert self.body.endswith(b"\n\n")
        data = [event.removeprefix("data: ") for event in self.body.decode().split("\n\n")[:-1]]
        return [text if text == "[DONE]" else orjson.loads(text) for text in data]

    @property
    def said(self) -> str:
        """The content of a stream's first choice."""
        chunks = [event["choices"][0] for event in self.events if event != "[DONE]" and event.get("choices")]
        return "".join(chunk["delta"].get("content") or "" for chunk in chunks if chunk["index"] == 0)


class Asker:
    """Sends requests to an echo of its own."""

    def __init__(self) -> None:
        self.echo = Echo(models=("gpt-like",))
        self.transport = EchoTransport(self.echo)

    @property
    def last(self) -> Call:
        return self.echo.calls[-1]

    async def open(self, path: str, request: Json, method: str = "POST") -> Reply:
        body = request if isinstance(request, bytes | Form) else orjson.dumps(request)
        return await self.transport.send(Outbound(method, path, None if method == "GET" else body))

    async def post(self, path: str, request: Json) -> Answered:
        return await read(await self.open(path, request))

    async def get(self, path: str, query: str = "") -> Answered:
        return await read(await self.transport.send(Outbound("GET", path, query=query)))

    async def chat(self, text: str, **request: Json) -> Answered:
        """One user message."""
        return await self.post("/chat/completions", chat(text, **request))


def chat(text: str, **request: Json) -> Json:
    return {"model": "echo", "messages": [{"role": "user", "content": text}]} | request


async def read(reply: Reply) -> Answered:
    """All of `reply`, which is closed then."""
    try:
        return Answered(reply.status, reply.headers, b"".join([piece async for piece in reply.chunks()]))
    finally:
        await reply.close()


async def streamed(ask: Asker, fault: str, text: str = "a b c", **request: Json) -> Answered:
    return await ask.chat(f"[[fault {fault}]] {text}", stream=True, **request)


async def whole(ask: Asker, fault: str, text: str = "a b c", **request: Json) -> Answered:
    return await ask.chat(f"[[fault {fault}]] {text}", **request)

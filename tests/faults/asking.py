"""A client that reads what it gets strictly, to the last header and event."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from llm_backend.errors import Json
from tests.serving import Running

HELLO: Json = {"model": "echo", "messages": [{"role": "user", "content": "Hello there"}]}


def saying(text: str, **options: Json) -> Json:
    """A chat request with `text` as its only message."""
    return {"model": "echo", "messages": [{"role": "user", "content": text}], **options}


@dataclass(frozen=True)
class Answered:
    """One answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    events: list[Any] = field(default_factory=list)
    """The payloads of a stream, parsed; `"[DONE]"` as it is."""

    @property
    def error(self) -> Json:
        """The error that the answer is, or that its stream ends in."""
        found = self.events[-1] if self.events else orjson.loads(self.body)
        return found["error"]

    @property
    def is_done(self) -> bool:
        return bool(self.events) and self.events[-1] == "[DONE]"

    @property
    def said(self) -> str:
        """All content, of the first choice."""
        if not self.events:
            return str(orjson.loads(self.body)["choices"][0]["message"]["content"])
        chunks = [event for event in self.events if event != "[DONE]" and "choices" in event]
        return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])


async def asked(running: Running, body: Json = HELLO, *, stream: bool = False, **headers: str) -> Answered:
    """The answer to one chat request, on a connection of its own."""
    url = f"{running.base_url}/chat/completions"
    sent = body | {"stream": True} if stream else body
    async with (
        aiohttp.ClientSession(headers={**running.headers, **headers}) as client,
        client.post(url, json=sent) as answer,
    ):
        content = await answer.read()
        is_stream = answer.headers["content-type"].startswith("text/event-stream")
        return Answered(answer.status, answer.headers, content, events_in(content) if is_stream else [])


def events_in(body: bytes) -> list[Any]:
    """The payloads of a stream that keeps every rule of ours: one `data:` line each, ASCII, one end, nothing after."""
    assert body.isascii()
    *blocks, rest = body.decode().split("\n\n")
    assert rest == ""
    events = [_payload(block) for block in blocks if block != ": keep-alive"]
    assert all(event != "[DONE]" and "error" not in event for event in events[:-1])
    return events


def _payload(block: str) -> Any:
    assert block.startswith("data: ")
    assert "\n" not in block
    data = block.removeprefix("data: ")
    return data if data == "[DONE]" else orjson.loads(data)

"""What a faulty upstream may be told to send: payloads as OpenAI writes them, pauses, and ways to end."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

Json = Any


class End(Enum):
    """How an answer may end before its time."""

    CUT = "the body ends in good order, and FIN: nothing is missing but its sense"
    TORN = "FIN in the middle of the body: the transfer coding lacks its end"
    RESET = "RST, which a client sees as a connection reset"
    HANG = "nothing more, for ever"


Cut, Torn, Reset, Hang = End.CUT, End.TORN, End.RESET, End.HANG


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for a while. To wait for the test's own event, give the `asyncio.Event` itself."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Repeated:
    """`block`, `times` over, never all in memory: `Repeated(b"x" * 65536, 16384)` is a gigabyte."""

    block: bytes
    times: int

    def __iter__(self) -> Iterator[bytes]:
        return (self.block for _ in range(self.times))


Item = bytes | Pause | End | Repeated | asyncio.Event
DONE = b"data: [DONE]\n\n"


def event(payload: Json) -> bytes:
    """`payload` as one server-sent event."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def chunk(content: str | None = None, *, finish: str | None = None, index: int = 0, **delta: Json) -> Json:
    """A chat chunk that says `content`, with further fields of its delta by name."""
    said = delta if content is None else {"content": content} | delta
    return _chunk([{"index": index, "delta": said, "logprobs": None, "finish_reason": finish}])


def usage(prompt: Json, completion: Json) -> Json:
    """The chunk at the end of a stream that was asked for usage."""
    return _chunk([]) | {"usage": counts(prompt, completion)}


def completion(content: str, *, prompt: int = 3, tokens: int = 2) -> Json:
    """A whole chat completion."""
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return _chunk([choice]) | {"object": "chat.completion", "usage": counts(prompt, tokens)}


def counts(prompt: Json, completed: Json) -> Json:
    """The three counts of a usage; lies are passed on as they are."""
    honest = isinstance(prompt, int) and isinstance(completed, int)
    total = prompt + completed if honest else completed
    return {"prompt_tokens": prompt, "completion_tokens": completed, "total_tokens": total}


def error(message: str = "The server had an error.", kind: str = "server_error", code: str | None = None) -> Json:
    """OpenAI's envelope."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _chunk(choices: list[Json]) -> dict[str, Json]:
    return {
        "id": "chatcmpl-faulty",
        "object": "chat.completion.chunk",
        "created": 1_735_689_600,
        "model": "faulty",
        "choices": choices,
    }


def head(status: int, **headers: str) -> bytes:
    """A status line and headers for `raw`; `content_type` becomes `content-type`."""
    return written_head(status, {name.replace("_", "-"): value for name, value in headers.items()})


def written_head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Told", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def framed(item: Json | Item | str) -> Item:
    if isinstance(item, str):
        return event(chunk(item))
    return event(item) if isinstance(item, dict | list) else item


def finishes(item: Json | Item | str) -> bool:
    choices = item.get("choices") if isinstance(item, dict) else None
    told = choices if isinstance(choices, list) else []
    return any(isinstance(choice, dict) and choice.get("finish_reason") for choice in told)

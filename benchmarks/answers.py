"""What the stand-in upstream is asked, what it answers, and what is wrong with an answer that came through a server."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

MODEL = "bench"
WORDS = "A measured answer, about as long as a short paragraph, which every server passes on as it is. " * 7
USAGE = {"prompt_tokens": 24, "completion_tokens": 160, "total_tokens": 184}
_HEAD: dict[str, Any] = {"id": "chatcmpl-bench", "created": 1_700_000_000, "model": MODEL}
_WISH = re.compile(rb"\[\[(\d+) chunks, one in (\d+) ms\]\]")
_STREAMS = re.compile(rb'"stream":\s*true')
_WANTS_USAGE = re.compile(rb'"include_usage":\s*true')


@dataclass(frozen=True, slots=True)
class Stream:
    """A streamed answer: so many chunks with a piece of text each, `pace_ms` apart; 0: as fast as they can be sent."""

    chunks: int
    pace_ms: int = 0
    has_usage: bool = True
    is_response: bool = False
    """Whether a response is asked for, which is kept, of a server whose upstream has chats only."""

    @property
    def path(self) -> str:
        """Below the API's base URL."""
        return "/responses" if self.is_response else "/chat/completions"


def question(stream: Stream | None) -> bytes:
    """A request's body. What is wanted stands in the prompt, as a proxy may drop fields that it does not know."""
    wish = f" [[{stream.chunks} chunks, one in {stream.pace_ms} ms]]" if stream else ""
    if stream and stream.is_response:
        said = {"instructions": "You are a helpful assistant.", "input": f"Say something measured.{wish}"}
        return orjson.dumps({"model": MODEL, **said, "temperature": 0.7, "stream": True})
    body: dict[str, Any] = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": f"Say something measured.{wish}"},
        ],
        "temperature": 0.7,
    }
    if stream:
        body |= {"stream": True}
        if stream.has_usage:
            body |= {"stream_options": {"include_usage": True}}
    return orjson.dumps(body)


def wished(request: bytes) -> Stream | None:
    """The stream that a request asks for; None for a whole answer."""
    found = _WISH.search(request)
    if found is None or _STREAMS.search(request) is None:
        return None
    return Stream(int(found[1]), int(found[2]), _WANTS_USAGE.search(request) is not None)


@cache
def whole() -> bytes:
    """About one kilobyte."""
    message = {"role": "assistant", "content": WORDS, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return orjson.dumps(_HEAD | {"object": "chat.completion", "choices": [choice], "usage": USAGE})


@cache
def models() -> bytes:
    one = {"id": MODEL, "object": "model", "created": 1_700_000_000, "owned_by": "benchmarks"}
    return orjson.dumps({"object": "list", "data": [one]})


@cache
def events(chunks: int, *, has_usage: bool) -> tuple[bytes, ...]:
    """The events of a stream, `[DONE]` included."""
    payloads = [orjson.dumps(_chunk(number, is_last=number == chunks - 1)) for number in range(chunks)]
    if has_usage:
        payloads.append(orjson.dumps(_HEAD | {"object": "chat.completion.chunk", "choices": [], "usage": USAGE}))
    return tuple(b"data: %b\n\n" % payload for payload in (*payloads, b"[DONE]"))


def _chunk(number: int, *, is_last: bool) -> dict[str, Any]:
    delta = {"content": _piece(number)} if number else {"role": "assistant", "content": _piece(number)}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": "stop" if is_last else None}
    return _HEAD | {"object": "chat.completion.chunk", "choices": [choice]}


def _piece(number: int) -> str:
    return f" word{number}"


def fault_of_whole(body: bytes) -> str | None:
    """What is wrong with a whole answer, in a word or two; None where nothing is."""
    try:
        answer = orjson.loads(body)
        text, used = answer["choices"][0]["message"]["content"], answer["usage"]["total_tokens"]
    except (ValueError, LookupError, TypeError):
        return "not an answer"
    return None if (text, used) == (WORDS, USAGE["total_tokens"]) else "another answer"


def fault_of_stream(body: bytes, wanted: Stream) -> str | None:
    """What is wrong with all the bytes of a streamed answer; None where each chunk came once, in order, and its end."""
    return _fault_of_response(body, wanted) if wanted.is_response else _fault_of_chunks(body, wanted)


def _fault_of_response(body: bytes, wanted: Stream) -> str | None:
    try:
        told = [orjson.loads(event.partition(b"\ndata: ")[2]) for event in body.split(b"\n\n") if event]
        pieces = [event["delta"] for event in told if event["type"] == "response.output_text.delta"]
        used = told[-1]["response"]["usage"]["total_tokens"]
    except (ValueError, LookupError, TypeError):
        return "not an event"
    if [event["sequence_number"] for event in told] != list(range(len(told))):
        return "other numbers"
    if pieces != [_piece(number) for number in range(wanted.chunks)]:
        return f"{len(pieces)} chunks of {wanted.chunks}" if len(pieces) != wanted.chunks else "other chunks"
    is_whole = told[-1]["type"] == "response.completed" and used == USAGE["total_tokens"]
    return None if is_whole else "no good end"


def _fault_of_chunks(body: bytes, wanted: Stream) -> str | None:
    payloads = [event.removeprefix(b"data: ") for event in body.split(b"\n\n") if event.startswith(b"data: ")]
    if not payloads or payloads.pop() != b"[DONE]":
        return "no [DONE]"
    try:
        told = [orjson.loads(payload) for payload in payloads]
        pieces = [piece for event in told for choice in event["choices"] if (piece := choice["delta"].get("content"))]
    except (ValueError, LookupError, TypeError):
        return "not an event"
    if pieces != [_piece(number) for number in range(wanted.chunks)]:
        return f"{len(pieces)} chunks of {wanted.chunks}" if len(pieces) != wanted.chunks else "other chunks"
    if wanted.has_usage and not any(event.get("usage") for event in told):
        return "no usage"
    return None

"""What upstreams answer, real ones in this process or written out, and what it comes to."""

from collections.abc import Callable, Iterable
from itertools import count

import orjson

from llm_backend.domain.responses.chat_output import ChatOutput
from llm_backend.domain.responses.growing import Event
from llm_backend.domain.responses.native_output import NativeOutput
from llm_backend.domain.responses.outputs import Output
from llm_backend.errors import Json
from llm_backend.streaming.chunks import ChatChunks
from llm_backend.streaming.sse import Splitter, is_done
from tests.upstream.echo.asking import Asker

PROPERTIES: Json = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: Json = [
    {"type": "function", "name": "get_weather", "parameters": PROPERTIES, "strict": False},
    {"type": "function", "name": "get_time", "parameters": PROPERTIES, "strict": False},
    {"type": "custom", "name": "write"},
]
CHAT_TOOLS: Json = [
    {"type": tool["type"], tool["type"]: {name: value for name, value in tool.items() if name != "type"}}
    for tool in TOOLS
]
TEXTS = {
    "a text": "Hello big world",
    "characters": "🦜 says “hé”",
    "a refusal": "[[refuse]] Hello",
    "a call": "[[tool get_weather city=Paris]] Hello",
    "parallel calls": "[[tool get_weather]] [[tool get_time]] Paris",
    "a custom call": "[[tool write]] some words",
    "calls of both kinds": "[[tool write]] [[tool get_time]] now",
    "a filtered text": "[[finish content_filter]] Hello world",
}
"""What the echo model is asked, by what it answers."""


def new_ids() -> Callable[[str], str]:
    """Ids that are counted: `msg_1`."""
    numbers = count(1)
    return lambda prefix: f"{prefix}_{next(numbers)}"


async def asked(path: str, request: Json) -> Json:
    """The echo model's whole answer."""
    answer = await Asker().post(path, request)
    assert answer.status == 200, answer.body
    return answer.json


async def streamed(path: str, request: Json) -> list[bytes]:
    """The data of the events that the echo model answers with."""
    answer = await Asker().post(path, {**request, "stream": True})
    assert answer.status == 200, answer.body
    return [event.data for event in Splitter().feed(answer.body) if not is_done(event)]


def chat_request(text: str, **more: Json) -> Json:
    return {"model": "echo", "messages": [{"role": "user", "content": text}], "tools": CHAT_TOOLS, **more}


def response_request(text: str, **more: Json) -> Json:
    return {"model": "echo", "input": text, "tools": TOOLS, **more}


def mended(*chunks: bytes) -> list[Json]:
    """Chunks as an output gets them."""
    judge = ChatChunks(wants_usage=False, model=None, created=1, new_id=lambda: "0")
    return [judge.admit(chunk).chunk for chunk in chunks]


def delta(finish_reason: str | None = None, logprobs: Json = None, **said: Json) -> bytes:
    """A chunk with one choice, as an upstream sends it."""
    choice = {"index": 0, "delta": said, "finish_reason": finish_reason, "logprobs": logprobs}
    return orjson.dumps({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]})


def heard(*chunks: bytes, is_cut: bool = False) -> tuple[ChatOutput, list[Event]]:
    """A chat's output at its end, and all of its events."""
    output = ChatOutput(new_ids())
    events = [event for chunk in mended(*chunks) for event in output.take(chunk)]
    return output, events + output.close(is_cut=is_cut)


def whole(message: Json, finish_reason: str = "stop", **choice: Json) -> ChatOutput:
    """The output of a chat that came in one piece."""
    output = ChatOutput(new_ids())
    output.whole({"choices": [{"index": 0, "message": message, "finish_reason": finish_reason, **choice}]})
    return output


def taken(events: Iterable[Json], *, is_cut: bool = False) -> tuple[NativeOutput, list[Event]]:
    """The same of an upstream's own response."""
    output = NativeOutput(new_ids())
    told = [each for event in events for each in output.take(event)]
    return output, told + output.close(is_cut=is_cut)


def outputs() -> list[Output]:
    """One of each kind."""
    return [ChatOutput(new_ids()), NativeOutput(new_ids())]


def nameless(items: Iterable[Json]) -> list[Json]:
    """Items without their ids; those of calls are by chance too."""
    return [{name: value for name, value in item.items() if name not in {"id", "call_id"}} for item in items]

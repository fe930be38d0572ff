"""Responses, asked for by a client that reads strictly; and what upstreams of either kind say of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
import orjson
from sqlalchemy import select

from llm_backend.errors import Json
from llm_backend.storage.tables import response
from tests.domain.responses.strict import check_shape, check_stream
from tests.faulty import chunk, counts, usage
from tests.serving import Running
from tests.told import Item
from tests.whole.talking import events_in

Kind = Literal["native", "chat"]
"""Of an upstream: whether it is asked for responses, or has chats only."""

Told = Json | Item | str

HELLO: Json = {"model": "echo", "input": "Hello there"}


@dataclass(frozen=True)
class Answered:
    """One answer, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    events: list[Any] = field(default_factory=list)

    @property
    def response(self) -> Json:
        """The response as it was told last."""
        return self.events[-1]["response"] if self.events else orjson.loads(self.body)

    @property
    def error(self) -> Json:
        """The error that the answer is."""
        return orjson.loads(self.body)["error"]

    @property
    def text(self) -> str:
        """All that the response says."""
        parts = [part for item in self.response["output"] for part in item.get("content", ())]
        return "".join(part["text"] for part in parts)


async def asked(running: Running, body: Json = HELLO, *, stream: bool = False, **headers: str) -> Answered:
    """The answer to one request, on a connection of its own; a good one is as the document and the SDK have it."""
    sent = body | {"stream": True} if stream else body
    async with (
        aiohttp.ClientSession(running.root, headers={**running.headers, **headers}) as client,
        client.post("/v1/responses", json=sent) as answer,
    ):
        content = await answer.read()
        is_stream = answer.headers["content-type"].startswith("text/event-stream")
        return Answered(answer.status, answer.headers, content, events_in(content) if is_stream else [])


async def kept(running: Running, response_id: str) -> Answered:
    """What is told of one that was kept."""
    async with (
        aiohttp.ClientSession(running.root, headers=running.headers) as client,
        client.get(f"/v1/responses/{response_id}") as answer,
    ):
        return Answered(answer.status, answer.headers, await answer.read())


async def told_again(running: Running, response_id: str) -> Answered:
    """The events of one that was kept, from the first on."""
    async with (
        aiohttp.ClientSession(running.root, headers=running.headers) as client,
        client.get(f"/v1/responses/{response_id}?stream=true") as answer,
    ):
        content = await answer.read()
        return Answered(answer.status, answer.headers, content, events_in(content))


async def stored(running: Running) -> list[str]:
    """The ids of all that are kept, once nothing runs."""
    await running.quiet()
    async with running.database.reading() as session:
        return list((await session.execute(select(response.c.public_id).order_by(response.c.id))).scalars())


def check(answer: Answered) -> None:
    """Fails where a good answer is not as the document and the SDK have it."""
    if answer.events:
        check_stream(answer.events)
    else:
        check_shape({"type": "response.completed", "sequence_number": 0, "response": answer.response})


def begun() -> Json:
    return {"type": "response.created", "response": _response("in_progress", [])}


def ended(output: list[Json], status: str = "completed", **fields: Json) -> Json:
    """The last event of a stream, whose response is a whole answer too."""
    return {"type": f"response.{status}", "response": _response(status, output) | fields}


def saying(kind: Kind, *words: str) -> list[Json]:
    """What an upstream of that kind streams that is about to say these words, and more."""
    if kind == "chat":
        return [chunk(word) for word in words]
    place = {"item_id": "up_1", "output_index": 0, "content_index": 0}
    deltas = [{"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in words]
    return [
        begun(),
        {"type": "response.output_item.added", "output_index": 0, "item": _message("in_progress", [])},
        {"type": "response.content_part.added", **place, "part": _part("")},
        *deltas,
    ]


def said(kind: Kind, *words: str, prompt: Json = 3, tokens: Json = 2) -> list[Json]:
    """The same of one that says no more than these, to its end."""
    if kind == "chat":
        return [*saying(kind, *words), chunk(finish="stop"), usage(prompt, tokens)]
    text = "".join(words)
    place = {"item_id": "up_1", "output_index": 0, "content_index": 0}
    item = _message("completed", [_part(text)])
    return [
        *saying(kind, *words),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": _part(text)},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        ended([item], usage=_used(prompt, tokens)),
    ]


def translated(kind: Kind, items: Sequence[Told]) -> list[Told]:
    """What a chat's upstream is told to send, with usage as an upstream of that kind says it."""
    is_native = kind == "native"
    return [_used_so_far(item) if is_native and is_count(item) else item for item in items]


def is_count(item: Told) -> bool:
    """Whether it is a chat's chunk that only says what was used."""
    return isinstance(item, dict) and "usage" in item


def _used_so_far(told: Json) -> Json:
    counted = told["usage"]
    used = _used(counted["prompt_tokens"], counted["completion_tokens"])
    return {"type": "response.in_progress", "response": _response("in_progress", []) | {"usage": used}}


def whole(kind: Kind, text: str, prompt: Json = 3, tokens: Json = 2) -> Json:
    """A whole answer of an upstream of that kind."""
    if kind == "native":
        return said(kind, text, prompt=prompt, tokens=tokens)[-1]["response"]
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return chunk() | {"object": "chat.completion", "choices": [choice], "usage": counts(prompt, tokens)}


def _used(prompt: Json, tokens: Json) -> Json:
    counted = counts(prompt, tokens)
    return {"input_tokens": prompt, "output_tokens": tokens, "total_tokens": counted["total_tokens"]}


def _response(status: str, output: list[Json]) -> Json:
    return {
        "id": "resp_up",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "echo",
        "output": output,
        "error": None,
        "incomplete_details": None,
        "usage": None,
    }


def _message(status: str, content: list[Json]) -> Json:
    return {"id": "up_1", "type": "message", "role": "assistant", "status": status, "content": content}


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

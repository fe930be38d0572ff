"""The events of an upstream that knows responses."""

import orjson

from llm_backend.domain.responses.growing import Event
from llm_backend.errors import Json
from tests.domain.responses.answering import response_request, streamed

MESSAGE: Json = {"type": "message", "id": "up_1", "role": "assistant", "status": "in_progress", "content": []}
CALL: Json = {"type": "function_call", "id": "up_2", "call_id": "call_a", "name": "f", "arguments": ""}
SEARCH: Json = {"type": "web_search_call", "id": "up_3", "status": "in_progress", "action": {"type": "search"}}


def event(name: str, **fields: Json) -> Json:
    return {"sequence_number": 7, **fields, "type": f"response.{name}"}


def part(text: str = "", **fields: Json) -> Json:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": [], **fields}


def complete(text: str) -> Json:
    """The message as it is in the end."""
    return {**MESSAGE, "status": "completed", "content": [part(text)]}


def names(events: list[Event]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


WHOLE_TEXT = [
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
]


async def events_of(text: str, model: str) -> list[Json]:
    return [orjson.loads(data) for data in await streamed("/responses", response_request(text, model=model))]


def texts(items: list[Json]) -> list[str]:
    """Whatever items say, in order."""
    said = []
    for item in items:
        parts = [*(item.get("summary") or []), *(item.get("content") or [])]
        said += [str(each.get("text") or each.get("refusal") or "") for each in parts]
        said += [item[name] for name in ("arguments", "input") if name in item]
    return said

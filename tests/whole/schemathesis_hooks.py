"""What schemathesis is told beyond the served document, each with its reason. Loaded by schemathesis itself."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext, Response

from llm_backend.errors import Json

MODELS = ["echo", "echo-reasoning"]
REFUSED = "REFUSED"
"""The variable with the name of a file: one line for each valid request that was answered 400, its id."""


@schemathesis.hook
def before_load_schema(_context: HookContext, document: Json) -> None:
    """Two things of which the document says less than there is.

    Models: those that exist, as of others nothing but the upstream's 404 can be learned. Streams: OpenAI's document,
    and so ours, gives the payload of `data`, where schemathesis expects the event around it.
    """
    schemas = document["components"]["schemas"]
    for name in ("createChatCompletion", "createCompletion", "createEmbedding"):
        schemas[f"request.{name}"]["properties"]["model"] = {"type": "string", "enum": MODELS}
    for item in document["paths"].values():
        for operation in item.values():
            content = operation["responses"].get("200", {}).get("content", {})
            if "text/event-stream" in content:
                content["text/event-stream"] = {"schema": _event(content["text/event-stream"]["schema"])}


@schemathesis.hook
def after_call(_context: HookContext, case: Case[Any], response: Response) -> None:
    """A range that only the upstream cares about is left to it: the test looks up whether it was the upstream."""
    if case.path.startswith("/api/"):
        return  # a name that is taken, an account that is closed: no upstream is asked
    if response.status_code == 400 and case.meta and case.meta.generation.mode is GenerationMode.POSITIVE:
        with Path(os.environ[REFUSED]).open("a") as file:
            file.write(response.headers["x-request-id"][0] + "\n")


@schemathesis.hook
def filter_body(_context: HookContext, body: Json) -> bool:
    """No integer beyond 64 bits: the reader refuses them anywhere (I-JSON), which no schema of open objects can say."""
    return all(-(2**63) <= number < 2**63 for number in _integers(body))


def _event(payload: Json) -> Json:
    chunk = {"type": "string", "contentMediaType": "application/json", "contentSchema": payload}
    data = {"anyOf": [{"enum": ["[DONE]"]}, chunk]}
    return {"type": "object", "required": ["data"], "properties": {"data": data}}


def _integers(value: Json) -> Iterator[int]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _integers(each)
    elif isinstance(value, int):
        yield value

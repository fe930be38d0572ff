"""What schemathesis is told beyond the served document, each with its reason. Loaded by schemathesis itself."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import Case, GenerationMode, HookContext, Response

from llm_backend.contract.documents import resolve
from llm_backend.contract.operations import operations
from llm_backend.errors import Json

MODELS: dict[str, list[str | None]] = {
    "createChatCompletion": ["echo", "echo-reasoning"],
    "createCompletion": ["echo", "echo-reasoning"],
    "createResponse": ["echo", "echo-reasoning"],
    "createBetaResponse": ["echo", "echo-reasoning"],
    "compactResponse": ["echo", "echo-reasoning"],
    "compactBetaResponse": ["echo", "echo-reasoning"],
    "countResponseInputTokens": ["echo", "echo-reasoning"],
    "countBetaResponseInputTokens": ["echo", "echo-reasoning"],
    "createEmbedding": ["echo", "echo-reasoning"],
    "createModeration": ["echo-moderation", None],
    "createImage": ["echo-image", None],
    "createImageEdit": ["echo-image", None],
    "createImageVariation": ["echo-dall-e", None],
    "createSpeech": ["echo-speech"],
    "createTranscription": ["echo-transcribe", "echo-whisper"],
    "createTranslation": ["echo-whisper"],
}
"""Those that exist and do what is asked."""
FILE = {"type": "string", "format": "binary"}
FORM = "multipart/form-data"
REFUSED = "REFUSED"
"""The variable with the name of a file: one line for each valid request that was answered 400, its id first."""


@schemathesis.hook
def before_load_schema(_context: HookContext, document: Json) -> None:
    """What the document says less of than there is, or says otherwise than schemathesis reads it.

    Models: those that exist, as of others nothing but the upstream's 404 can be learned; a response has to name one,
    also where a prompt of the upstream's would, and to be given something, which may be nothing where it goes on from
    another. Forms: what texts can say. Streams: OpenAI's document, and so ours, gives the payload of `data`, where
    schemathesis expects the event around it.
    """
    for operation in operations(document):
        asked = operation.fields.get("requestBody", {}).get("content", {})
        for content in asked.values() if operation.id in MODELS else ():
            schema = resolve(document, content["schema"])
            schema["properties"]["model"] = {"enum": MODELS[operation.id]}
            if operation.path.startswith("/v1/responses"):
                schema["required"] = sorted({*schema.get("required", ()), "model", "input"})
                operation.fields["requestBody"]["required"] = True
        if FORM in asked:
            asked[FORM] = asked[FORM] | {"schema": _of_form(document, asked[FORM]["schema"])}
        content = operation.fields["responses"].get("200", {}).get("content", {})
        if "text/event-stream" in content:
            content["text/event-stream"] = {"schema": _event(content["text/event-stream"]["schema"])}


@schemathesis.hook
def after_call(_context: HookContext, case: Case[Any], response: Response) -> None:
    """A range that only the upstream cares about is left to it: the test looks up whether it was the upstream."""
    if case.path.startswith("/api/") or case.operation.definition.raw["x-fate"] != "served":
        return  # a name that is taken, an account that is closed, an object that is nobody's: no upstream is asked
    if response.status_code == 400 and case.meta and case.meta.generation.mode is GenerationMode.POSITIVE:
        if response.json()["error"]["code"] == "mutually_exclusive_parameters":
            return  # a response goes on from another or from a conversation, which no schema of properties says
        if case.path.startswith("/v1/responses") and response.json()["error"]["code"] == "missing_required_parameter":
            return  # an input that is null or an empty list says nothing, unless something was said before
        if response.json()["error"]["param"] == "stream" and case.method == "GET":
            return  # events are kept of what streamed, or was made in the background
        if "/cancel" in case.path and response.json()["error"]["param"] == "response_id":
            return  # what has ended is not cancelled, which depends on what was made
        with Path(os.environ[REFUSED]).open("a") as file:
            file.write(f"{response.headers['x-request-id'][0]} {case.method} {response.request.url} {response.text}\n")


@schemathesis.hook
def filter_body(context: HookContext, body: Json) -> bool:
    """No integer beyond 64 bits: the reader refuses them anywhere (I-JSON), which no schema of open objects can say.

    And no field of a form whose name cannot be read, nor a text with a NUL: it is refused before any schema is asked.
    No item with the id of a provider, which a conversation has once, nor with an id, a content, and no type that tells
    what it is.
    """
    takes_form = context.operation is not None and FORM in context.operation.definition.raw["requestBody"]["content"]
    is_readable = not (takes_form and isinstance(body, dict)) or _is_readable(body)
    if context.operation is not None and context.operation.path.startswith("/v1/conversations") and _is_bound(body):
        return False
    return is_readable and all(-(2**63) <= number < 2**63 for number in _integers(body))


@schemathesis.hook
def filter_query(_context: HookContext, query: Json) -> bool:
    """No integer beyond 64 bits here either; and no metadata with an empty name, as `metadata[]` is a list."""
    is_named = not isinstance(query, dict) or "metadata[]" not in query
    return is_named and all(-(2**63) <= number < 2**63 for number in _integers(query))


def _is_readable(form: dict[str, Json]) -> bool:
    texts = [text for value in form.values() for text in (value if isinstance(value, list) else [value])]
    return all(name and name.isprintable() for name in form) and not any(
        isinstance(text, str) and "\0" in text for text in texts
    )


def _is_bound(body: Json) -> bool:
    items = body.get("items") if isinstance(body, dict) else None
    named = [each for each in items or () if isinstance(each, dict) and "id" in each] if isinstance(items, list) else []
    untold = any(each.get("type") is None and "content" in each for each in named)
    return untold or any(each.get("type") in ("reasoning", "compaction") for each in named)


def _of_form(document: Json, schema: Json) -> Json:
    """The schema of a form's fields, as these can say it: there is no null, and one of a list may come alone.

    Pictures, one or many, stand in one schema: of two that exclude each other schemathesis sends neither as a file. And
    they are not none, as an empty list is no field at all.
    """
    schema = resolve(document, schema)
    said = {name: _of_field(each) for name, each in schema.get("properties", {}).items()}
    if said.get("image", {}).get("anyOf") == [FILE, {"type": "array", "items": FILE}]:
        said["image"] = FILE | {"type": ["string", "array"], "items": FILE, "minItems": 1}
    return schema | {"properties": said}


def _of_field(field: Json) -> Json:
    if not isinstance(field, dict):
        return field  # `false`: there is no such field
    said = dict(field)
    if isinstance(field.get("type"), list):
        said["type"] = [name for name in field["type"] if name != "null"]
    if "enum" in field:
        said["enum"] = [value for value in field["enum"] if value is not None]
    if "anyOf" in field:
        said["anyOf"] = [each for each in field["anyOf"] if each != {"type": "null"}]
    items = field.get("items", {})
    return said if not items or items.get("format") == "binary" else {"anyOf": [said, items]}


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

"""Moderations: nothing is flagged but what a directive says is to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from llm_backend.errors import Json
from llm_backend.upstream.echo import directives as asked
from llm_backend.upstream.echo import words
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.limits import check_context
from llm_backend.upstream.echo.prepared import Prepared
from llm_backend.upstream.echo.request import Request
from llm_backend.upstream.echo.script import Refusal

_SEES_IMAGES: Final[Mapping[str, bool]] = {
    "harassment": False,
    "harassment/threatening": False,
    "hate": False,
    "hate/threatening": False,
    "illicit": False,
    "illicit/violent": False,
    "self-harm": True,
    "self-harm/instructions": True,
    "self-harm/intent": True,
    "sexual": True,
    "sexual/minors": False,
    "violence": True,
    "violence/graphic": True,
}
"""OpenAI's categories, and which of them are applied to images too."""
_FLAGGED_SCORE = 0.99
_MOST = 2048


@dataclass(frozen=True, slots=True)
class Input:
    """One thing to be judged: a text, or the texts and images that stand together."""

    text: str
    kinds: tuple[str, ...]
    """`text`, `image`, or both."""


def moderate(request: Request) -> Prepared:
    """A result for each text, one for all parts together. Raises Refusal where the request is broken."""
    inputs = _inputs(request.fields.get("input"))
    check_context(sum(len(item.text) for item in inputs), 1, "input")
    results = [_result(item) for item in inputs]
    payload = {"id": f"modr-{request.digest[:24]}", "model": request.fields["model"], "results": results}
    tokens = sum(words.count(asked.plain(item.text)) for item in inputs)
    return Prepared(lambda: Event(payload, is_part=True), asked.read(inputs[-1].text), tokens)


def _inputs(value: Json) -> Sequence[Input]:
    if value is None:
        raise Refusal("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    if isinstance(value, str):
        return [Input(value, ("text",))]
    if not isinstance(value, list) or not 0 < len(value) <= _MOST:
        raise Refusal(f"'input' is a text or a list of 1 to {_MOST}.", param="input", code="invalid_type")
    if all(isinstance(item, str) for item in value):
        return [Input(item, ("text",)) for item in value]
    return [_together(value)]


def _together(parts: Sequence[Json]) -> Input:
    texts, kinds = [], set()
    for index, part in enumerate(parts):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
            kinds.add("text")
        elif kind == "image_url" and isinstance(part.get("image_url"), dict):
            kinds.add("image")
        else:
            raise Refusal("A part is a text or an image_url.", param=f"input[{index}]", code="invalid_type")
    return Input(" ".join(texts), tuple(sorted(kinds, reverse=True)))


def _result(item: Input) -> Json:
    flags = asked.read(item.text).flags
    if unknown := sorted(set(flags) - _SEES_IMAGES.keys()):
        raise Refusal(f"There is no category {unknown[0][:40]!r} to flag.", param="input", code="invalid_value")
    applied = {
        category: [kind for kind in item.kinds if kind == "text" or sees] for category, sees in _SEES_IMAGES.items()
    }
    return {
        "flagged": bool(flags),
        "categories": {category: category in flags for category in _SEES_IMAGES},
        "category_scores": {
            category: _FLAGGED_SCORE if category in flags else _low(category, item.text) for category in _SEES_IMAGES
        },
        "category_applied_input_types": applied,
    }


def _low(category: str, text: str) -> float:
    """Below a thousandth, and always the same for a text."""
    return (crc32(f"{category} {text}".encode()) % 1000) / 1_000_000

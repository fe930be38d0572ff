"""How many tokens a request may cost at most: a true upper bound, for reserving, never for charging."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

import orjson

from llm_backend.domain.prompts import text_size
from llm_backend.domain.usage_reports import MOST_TOKENS
from llm_backend.errors import Json

TOKENS_AROUND = 16
"""What a template puts around each message, tool or input at most."""

UNKNOWN_CONTEXT = 2**20
"""The context of a model of which none is known: the longest in common use."""

BYTES_PER_AUDIO_SECOND = {"wav": 8_000, "pcm16": 8_000}
"""The fewest in use: 8 bits at 8 kHz, uncompressed."""
BYTES_PER_COMPRESSED_SECOND = 1_000
"""The fewest that mp3 has, 8 kbit/s; others are at least as dense."""
BYTES_PER_PAGE = 512
"""Fewer than a page of a file has, with its share of fonts and structure."""

CAPS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""The fields that limit an answer's tokens."""
FOREIGN_CAPS = ("n_predict", "num_predict", "max_new_tokens")
"""Those that some upstreams obey before OpenAI's own; a negative one sets no limit."""
EVERY_CAP = frozenset({*CAPS, *FOREIGN_CAPS})

FUNCTIONS = ("function", "custom")
"""Tools that the client runs. The others put into the prompt what they find."""

UNREAD = frozenset(
    {
        *("model", "user", "safety_identifier", "prompt_cache_key", "metadata", "logit_bias", "stop", "stream_options"),
        *("encoding_format", "reasoning_effort", "service_tier", "verbosity", "modalities"),
    }
)
"""Fields that no model reads. What is not known is believed to be read."""
REMEMBERED = ("web_search_options", "previous_response_id", "conversation", "chat_template")
"""Fields that bring into the prompt what does not stand in the request."""
ELSEWHERE = frozenset({"file_id", "file_url", "video_url", "audio_url"})
"""Fields that name what stands elsewhere, or moves: how much that is, nobody knows."""
CALLS = frozenset({"tool_calls", "function_call", "arguments", "output"})
"""Fields of messages that are written as JSON, with all that is escaped in it."""
CODED = CALLS | ELSEWHERE | {"image_url", "file_data", "data"}
"""Fields of messages in which a text is not what is read."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a model counts at most for what is no text."""

    image_tokens: int = 4_000
    """Of a picture that is shown."""
    made_image_tokens: int = 6_240
    """Of one that is made."""
    audio_tokens_per_minute: int = 2_000
    page_tokens: int = 5_000
    context_tokens: int = UNKNOWN_CONTEXT
    """Of a file of unknown size, and of what a tool of the upstream finds."""

    def sound(self, seconds: int) -> int:
        """Of so many seconds of sound."""
        return _up(seconds * self.audio_tokens_per_minute, 60)

    def audio(self, encoded: int, form: Json) -> int:
        """Of a sound of so many base64 characters in this format, or in one that is not known."""
        per_second = BYTES_PER_AUDIO_SECOND.get(str(form), BYTES_PER_COMPRESSED_SECOND)
        return min(self.context_tokens, _up(encoded * 3 * self.audio_tokens_per_minute, 4 * 60 * per_second))

    def file(self, encoded: int) -> int:
        """Of a file of so many base64 characters."""
        return min(self.context_tokens, _up(encoded * 3, 4 * BYTES_PER_PAGE) * self.page_tokens)


def prompt_bound(body: Json, sizes: Sizes) -> int:
    """The most tokens that the prompt of `body` can have.

    No token is shorter than a byte, so the bytes of all that is read bound it, with what stands around it.
    """
    parts = [_part(name, value, sizes) for name, value in body.items() if value is not None and name not in UNREAD]
    return sum(parts) + sizes.context_tokens * sum([body.get(name) is not None for name in REMEMBERED])


def choices(body: Json) -> int:
    """How many answers are made, to all prompts together."""
    prompt = body.get("prompt")
    prompts = len(_inputs(prompt)) if isinstance(prompt, list) else 1
    made = [min(MOST_TOKENS, int(number)) for name in ("n", "best_of") if is_whole(number := body.get(name))]
    return max(1, prompts) * max([1, *made])


def named_cap(body: Json) -> int | None:
    """The largest limit of output that `body` names, none below 0; None where it names none."""
    if EVERY_CAP.isdisjoint(body):
        return None
    named = [int(body[name]) for name in CAPS if is_whole(body.get(name))]
    named += [int(body[name]) for name in FOREIGN_CAPS if is_whole(body.get(name)) and body[name] >= 0]
    return min(MOST_TOKENS, max(0, *named)) if named else None


def cap_field(path: str, chats: str) -> str:
    """Where an operation takes its limit of output; `chats`: the field of its upstream for chats."""
    return {"/completions": "max_tokens", "/responses": "max_output_tokens"}.get(path, chats)


def capped(body: Json, field: str, tokens: int) -> dict[str, Json]:
    """`body` with `tokens` in `field`, and no other limit of output."""
    return {name: value for name, value in body.items() if name not in EVERY_CAP} | {field: tokens}


def _part(name: str, value: Json, sizes: Sizes) -> int:
    """One field of the body that may be read: where it is a list of many, each of them by itself."""
    if name == "messages":
        return sum([TOKENS_AROUND + _message(message, sizes) for message in _listed(value)])
    if name in {"tools", "functions"}:
        foreign = sizes.context_tokens
        return sum([TOKENS_AROUND + _written(tool) + _is_foreign(tool) * foreign for tool in _listed(value)])
    if name == "prompt":
        return _given(value, sizes)
    if name == "input":
        # However many items are named: what is kept of them fits a context.
        return _given(value, sizes) + sizes.context_tokens * any(map(_is_reference, _listed(value)))
    return _other(value)


def _given(value: Json, sizes: Sizes) -> int:
    """A `prompt` or an `input`: a text, tokens, a list of such or of messages, or the name of a kept prompt."""
    if isinstance(value, list):
        return sum(TOKENS_AROUND + _each(item, sizes) for item in _inputs(value))
    kept = sizes.context_tokens if isinstance(value, dict) else 0
    return TOKENS_AROUND + _said(value, sizes) + kept


def _each(item: Json, sizes: Sizes) -> int:
    """One input: each number in it is a token."""
    if isinstance(item, list) and all(map(_is_number, item)):
        return len(item)
    return _message(item, sizes)


def _inputs(value: list[Json]) -> list[Json]:
    """The inputs of a list, which is one input if it is one of tokens."""
    return [value] if value and all(map(_is_number, value)) else value


def _is_foreign(tool: Json) -> bool:
    return isinstance(tool, dict) and tool.get("type", "function") not in FUNCTIONS


def _is_reference(item: Json) -> bool:
    """Whether an item of the input names one that the upstream keeps, in place of itself."""
    if not isinstance(item, dict) or item.get("id") is None:
        return False
    kind = item.get("type")
    return kind == "item_reference" or (kind is None and item.get("content") is None)


def _other(value: Json) -> int:
    """A field of the body that may be read; a number or a switch is not."""
    return TOKENS_AROUND + _written(value) if isinstance(value, str | dict | list) else 0


def _message(message: Json, sizes: Sizes) -> int:
    """A message, or an item: the names of its fields are part of what stands around it."""
    if isinstance(message, dict):
        return sum([_field(name, value, message, sizes) for name, value in message.items()])
    return _said(message, sizes)


def _said(value: Json, sizes: Sizes) -> int:
    """All text of a content, names included, and what it shows besides."""
    if isinstance(value, dict):
        return sum(text_size(name) + _field(name, inner, value, sizes) for name, inner in value.items())
    if isinstance(value, list):
        return sum(1 + _said(inner, sizes) for inner in value)
    return text_size(value) if isinstance(value, str) else _written(value)


def _field(name: str, value: Json, beside: Mapping[str, Json], sizes: Sizes) -> int:
    """The value of a field, by what a field of this name holds; `beside`: the object it stands in."""
    if isinstance(value, str) and name not in CODED:
        return text_size(value)
    if value is None:
        return 0
    if name in CALLS:
        return _written(value)
    if name == "image_url":
        return sizes.image_tokens + _linked(value)
    if name in ELSEWHERE or (name == "audio" and isinstance(value, dict) and "id" in value):
        return sizes.context_tokens + _linked(value)
    encoded = _encoded(name, value, beside, sizes) if isinstance(value, str) else None
    return _said(value, sizes) if encoded is None else encoded


def _encoded(name: str, text: str, beside: Mapping[str, Json], sizes: Sizes) -> int | None:
    """What a file or a sound counts whose bytes stand here; None where `text` is one."""
    if name == "file_data":
        return sizes.file(len(text))
    return sizes.audio(len(text), beside["format"]) if name == "data" and "format" in beside else None


def _linked(value: Json) -> int:
    """What is written around what is linked to: of encoded data, nothing is read as text."""
    if isinstance(value, dict):
        return sum(text_size(name) + _linked(inner) for name, inner in value.items())
    return 0 if isinstance(value, str) and value.startswith("data:") else _written(value)


def _written(value: Json) -> int:
    """Bytes of JSON at its widest, at least: a space after each mark, all but ASCII escaped."""
    try:
        raw = orjson.dumps(value)
    except TypeError:
        return len(json.dumps(value))
    # Marks within texts count too: cheaper than telling them apart.
    is_plain = raw.isascii() and b"\x7f" not in raw
    return len(raw) + raw.count(b",") + raw.count(b":") if is_plain else len(json.dumps(value))


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Json) -> TypeGuard[int | float]:
    """Whether it is an integer as JSON Schema has it, which 4.0 is too."""
    return type(value) is int or (isinstance(value, float) and value.is_integer())


def _up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)

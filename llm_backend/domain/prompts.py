"""What there is to read in a request: the measure by which prompts are estimated."""

from collections.abc import Iterator

from llm_backend.errors import Json

SAID = ("messages", "prompt", "suffix", "instructions", "input")
"""The parts of a body whose texts a model reads; the names of their fields it does not."""

SHOWN = ("tools", "functions", "response_format")
"""The parts that it reads as they are written."""

UNREAD = frozenset({"data", "file_data", "role", "type", "id", "tool_call_id"})
"""Fields that hold files and sounds as base64, whose size says nothing of their tokens, or a word of the wire."""

LINKS = frozenset({"url", "image_url", "file_url"})
"""Fields that may hold a file too, as a `data:` URL."""

NUMBERED = " one"
"""What a token counts as that was given by its number: a text of one token, and of as many bytes as most have."""


def text_bytes(body: Json) -> int:
    """Bytes in UTF-8 of every text in the request, tools and schemas included, encoded files not."""
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in _texts(body))


def prompt_text(body: Json) -> str:
    """The same as one text, for counting its tokens."""
    return "\n".join(_texts(body))


def _texts(body: Json) -> Iterator[str]:
    for part in SAID:
        yield from _said(body.get(part))
    for part in SHOWN:
        if part in body:
            yield from _shown(body[part])


def _said(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            if not (name in UNREAD or (name in LINKS and isinstance(inner, str) and inner.startswith("data:"))):
                yield from _said(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _said(inner)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield NUMBERED


def _shown(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _shown(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _shown(inner)
    else:
        yield str(value)

"""What there is to read in a request: the measure by which prompts are estimated."""

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
    return sum(map(text_size, _texts(body)))


def prompt_text(body: Json) -> str:
    """The same as one text, for counting its tokens."""
    return "\n".join(_texts(body))


def text_size(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _texts(body: Json) -> list[str]:
    texts: list[str] = []
    for part in SAID:
        if part in body:
            _say(body[part], texts)
    for part in SHOWN:
        if part in body:
            _show(body[part], texts)
    return texts


def _say(value: Json, texts: list[str]) -> None:
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if not (name in UNREAD or (name in LINKS and isinstance(inner, str) and inner.startswith("data:"))):
                _say(inner, texts)
    elif isinstance(value, list):
        for inner in value:
            _say(inner, texts)
    elif isinstance(value, int) and not isinstance(value, bool):
        texts.append(NUMBERED)


def _show(value: Json, texts: list[str]) -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            texts.append(name)
            _show(inner, texts)
    elif isinstance(value, list):
        for inner in value:
            _show(inner, texts)
    else:
        texts.append(str(value))

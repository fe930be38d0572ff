"""Embeddings: the sum of a vector for each word, at length one. Equal words, equal vectors; shared words, near ones."""

import struct
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import shake_256
from math import sqrt

from llm_backend.errors import Json
from llm_backend.upstream.echo import directives as asked
from llm_backend.upstream.echo.directives import Directives
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.inputs import inputs_of
from llm_backend.upstream.echo.limits import check_context
from llm_backend.upstream.echo.request import is_count
from llm_backend.upstream.echo.script import Refusal

DIMENSIONS = 64
"""Enough that texts without a common word are nearly orthogonal (about 1/8), and small enough to be read by eye."""
_MOST_DIMENSIONS = 4096


def embed(request: Mapping[str, Json]) -> tuple[Directives, Event]:
    """What the last input asks for, and the whole answer. Raises Refusal where the request is broken."""
    inputs = inputs_of(request, "input")
    check_context(sum(len(item.raw) for item in inputs), 1, "input")
    size = _size(request)
    encode = _encoder(request)
    directives = asked.read(inputs[-1].raw)
    tokens = directives.tokens.get("prompt", sum(item.tokens for item in inputs))
    data = [
        {"object": "embedding", "index": index, "embedding": encode(vector(item.text, size))}
        for index, item in enumerate(inputs)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return directives, Event({"object": "list", "data": data, "model": request["model"], "usage": usage})


def vector(text: str, size: int) -> tuple[float, ...]:
    """`size` numbers of single precision, of length one. A shorter vector is the beginning of a longer, stretched."""
    found = [word.lower() for word in text.split()] or [text]
    total = [0] * size
    for word in found:
        # The digest's beginning does not depend on its length, nor do the first numbers on `size`.
        for place, byte in enumerate(shake_256(word.encode()).digest(size)):
            total[place] += 2 * byte - 255
    if not any(total):
        # Words that cancel each other out still have a direction.
        total[0] = 1
    length = sqrt(sum(number * number for number in total))
    return struct.unpack(f"<{size}f", struct.pack(f"<{size}f", *(number / length for number in total)))


def _size(request: Mapping[str, Json]) -> int:
    size = request.get("dimensions")
    if size is None:
        return DIMENSIONS
    if not is_count(size) or not 1 <= size <= _MOST_DIMENSIONS:
        message = f"'dimensions' is a number from 1 to {_MOST_DIMENSIONS}."
        raise Refusal(message, param="dimensions", code="invalid_value")
    return int(size)


def _encoder(request: Mapping[str, Json]) -> Callable[[Sequence[float]], Json]:
    encoding = request.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise Refusal("'encoding_format' is float or base64.", param="encoding_format", code="invalid_value")
    return _base64 if encoding == "base64" else list


def _base64(numbers: Sequence[float]) -> str:
    """Little-endian floats of four bytes."""
    return b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()

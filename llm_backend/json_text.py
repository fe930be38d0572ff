"""Upstreams' JSON, read strictly, except for the one slip that engines make in good faith."""

import re

import orjson

from llm_backend.errors import Json

_LONE = rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ESCAPES = re.compile(rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\(?!u[dD][89a-fA-F]).)|" + _LONE)
"""Group 1 holds what is good: pairs, and escapes of anything else, the backslash's own among them."""


def loads(data: bytes) -> Json:
    """Read one JSON value; half a surrogate pair becomes U+FFFD. Raises orjson.JSONDecodeError."""
    return read(data)[0]


def read(data: bytes) -> tuple[Json, bytes]:
    r"""As `loads`, with the strict JSON of the value: `data` itself wherever that is so.

    Engines that cut text into tokens split a pair over two deltas, each half of it an escape (`\ud83d`) that is no
    character; one emoji lost is better than the answer.
    """
    try:
        return orjson.loads(data), data
    except orjson.JSONDecodeError:
        if not re.search(_LONE, data):
            raise
    mended = _ESCAPES.sub(lambda found: found[1] or b"\\ufffd", data)
    return orjson.loads(mended), mended

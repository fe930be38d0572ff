import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.json_text import loads, read


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (rb'"\ud83d"', "\ufffd"),
        (rb'"\ude00"', "\ufffd"),
        (rb'"a\uD83Db"', "a\ufffdb"),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\N{GRINNING FACE}"),
        (rb'"\ude00\ud83d"', "\ufffd\ufffd"),
        (rb'"\\ud83d\ud83d"', "\\ud83d\ufffd"),
        (rb'"\\\ud83d\n"', "\\\ufffd\n"),
        (rb'"\ud83d\u0041"', "\ufffdA"),
        (rb'"\ud83d\\ude00"', "\ufffd\\ude00"),
    ],
)
def test_half_a_pair_becomes_the_replacement_character(written: bytes, text: str) -> None:
    value, strict = read(b'{"a":' + written + b"}")

    assert value == {"a": text}
    assert orjson.loads(strict) == value
    assert loads(written) == text


def test_what_is_strict_is_left_as_it_is() -> None:
    data = rb' {"a": "\ud83d\ude00", "b": 1.50} '

    value, strict = read(data)

    assert strict is data
    assert value == {"a": "\N{GRINNING FACE}", "b": 1.5}


@given(st.text(st.characters(codec=None), max_size=8))
def test_any_text_that_the_standard_library_writes_is_read(text: str) -> None:
    whole = json.loads(json.dumps(text))  # joins halves that happen to stand side by side

    assert loads(json.dumps(text).encode()) == "".join(
        "\ufffd" if "\ud800" <= sign <= "\udfff" else sign for sign in whole
    )


@pytest.mark.parametrize(
    "data",
    [
        b"", rb'{"a": "\ud83d"', rb'"\ud8zz"', rb"\ud83d", rb'{"\ud83d": NaN}', b'"\xff"', rb'"\ud83d' + b'\xff"',
        b"[" * 100_000 + rb'"\ud83d"' + b"]" * 100_000,
    ],
    ids=range(8),
)  # fmt: skip
def test_anything_else_that_is_not_strict_is_refused_as_ever(data: bytes) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        loads(data)

import json
import math
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_backend.edge.strict_json import DEPTH_LIMIT, ELEMENT_LIMIT, NODE_LIMIT, ODD_NUMBER_LIMIT, parse
from llm_backend.errors import InvalidJson, Json

REFUSED = {
    "nothing": b"",
    "blank": b"  \n",
    "two values": b"1 2",
    "a closed wrapping": b"1],[2",
    "another closed wrapping": b"]" * 65 + b"[" * 65,
    "closed and opened amid many": b"[]],[" + b"[]" * 65,
    "a byte order mark": b"\xef\xbb\xbf{}",
    "invalid UTF-8": b'"\xff"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "an encoded surrogate": b'"\xed\xa0\x80"',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a lone surrogate": b'"\\ud800"',
    "a raw control character": b'"\x01"',
    "a raw NUL": b'"\x00"',
    "NaN": b"[NaN]",
    "Infinity": b"[-Infinity]",
    "a float beyond the range": b"[1e309]",
    "a float far beyond the range": b"[1e" + b"9" * 5_000 + b"]",
    "a float with a padded exponent": b"[1e0000000400]",
    "a negative float beyond the range": b"-1.8e+308",
    "an integer beyond the range": b"9223372036854775808",
    "a negative one": b"-9223372036854775809",
    "an integer of 20 digits": b"[12345678901234567890]",
    "an integer of 5,000 digits": b"1" * 5_000,
    "a long integer behind a string": b'["' + b"1" * 30 + b'",' + b"1" * 30 + b"]",
    "a long integer behind an escaped quote": b'["\\"",' + b"1" * 30 + b"]",
    "a long integer with a fraction": b"[" + b"1" * 30 + b".5]",
    "duplicate keys": b'{"a":1,"b":2,"a":3}',
    "duplicate keys by an escape": b'{"a":1,"\\u0061":3}',
    "duplicate keys far down": b'[{"b":[{"a":1,"a":3}]}]',
    "a leading zero": b"01",
    "a plus": b"+1",
    "hexadecimal": b"0x10",
    "a trailing comma": b"[1,]",
    "a comment": b"[1] // one",
    "single quotes": b"{'a':1}",
    "an open string": b'"abc',
    "an open string behind a long one": b'"' + b"1" * 30 + b'" "' + b"1" * 30,
    "depth": b"[" * (DEPTH_LIMIT + 1) + b"1" + b"]" * (DEPTH_LIMIT + 1),
    "depth of objects": b'{"a":' * (DEPTH_LIMIT + 1) + b"1" + b"}" * (DEPTH_LIMIT + 1),
    "depth without an end": b"[" * 1_000_000,
    "too many arrays": b"[" + b"[]," * NODE_LIMIT + b"[]]",
    "too many keys": b"{" + b",".join(b'"%d":0' % number for number in range(NODE_LIMIT + 1)) + b"}",
    "too many elements": b"[" + b"0," * (ELEMENT_LIMIT + 1) + b"0]",
    "too many odd numbers": b"[" + b"1e300," * (ODD_NUMBER_LIMIT + 1) + b"0]",
}

ACCEPTED: dict[str, tuple[bytes, Json]] = {
    "null": (b"null", None),
    "the escape of NUL": (b'"\\u0000"', "\x00"),
    "a pair of surrogates": (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
    "the largest integer": (b"9223372036854775807", 2**63 - 1),
    "the smallest integer": (b"-9223372036854775808", -(2**63)),
    "the largest float": (b"1.7976931348623157e308", 1.7976931348623157e308),
    "a float of many digits": (b"0.30000000000000000000000000004", 0.3),
    "a float that vanishes": (b"1e-99999", 0.0),
    "digits in a string": (b'["' + b"1" * 5_000 + b'"]', ["1" * 5_000]),
    "steep digits in a string": (b'["1e999", "\\"1e999"]', ["1e999", '"1e999']),
    "digits in a key": (b'{"' + b"1" * 40 + b'":1}', {"1" * 40: 1}),
    "brackets in a string": (b'["' + b"[" * 200_000 + b'"]', ["[" * 200_000]),
    "commas in a string": (b'["' + b"," * 500_000 + b'"]', ["," * 500_000]),
    "the same key in two objects": (b'[{"a":1},{"a":2}]', [{"a": 1}, {"a": 2}]),
    "white space": (b" \t\r\n[ 1 , 2 ] \n", [1, 2]),
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_is_read_in_two_ways_or_costs_too_much_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidJson) as refused:
        parse(raw)

    assert len(str(refused.value)) < 300
    assert refused.value.code == "invalid_json"


@pytest.mark.parametrize(("raw", "value"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_unusual_and_clear_is_read(raw: bytes, value: Json) -> None:
    assert parse(raw) == value


def test_the_deepest_value_is_read() -> None:
    value = parse(b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT)

    for _ in range(DEPTH_LIMIT - 1):
        (value,) = value
    assert value == []


@pytest.mark.parametrize("raw", [b'{"secret":1,"secret":2}', b'"secret', b"secret", b'{"a":"\\secret"}', b"[1 secret]"])
def test_a_refusal_quotes_nothing(raw: bytes) -> None:
    with pytest.raises(InvalidJson) as refused:
        parse(raw)

    assert "secret" not in str(refused.value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(VALUES, st.booleans())
@settings(max_examples=150)
def test_every_value_within_the_rules_is_read_as_it_was_written(value: Json, ascii_only: bool) -> None:  # noqa: FBT001
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()

    assert _read(raw) == _expected(raw)


@given(VALUES, st.data())
@settings(max_examples=300)
def test_a_damaged_body_is_refused_or_read_as_the_standard_library_reads_it(value: Json, data: st.DataObject) -> None:
    raw = bytearray(json.dumps(value).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(raw)))
        raw[position : position + data.draw(st.integers(0, 2))] = data.draw(st.sampled_from(DAMAGE))

    assert _read(bytes(raw)) == _expected(bytes(raw))


@given(st.binary())
@example(b'"\\')
@settings(max_examples=1_000)
def test_any_bytes_are_refused_or_read_as_the_standard_library_reads_them(raw: bytes) -> None:
    assert _read(raw) == _expected(raw)


DAMAGE = [b"", b"0", b"1" * 19, b"9" * 20, b"e", b"e999", b"E+400", b"-", b".", b'"', b"\\", b"\\u0000", b"\\ud800"]
DAMAGE += [
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"],[",
    b"NaN",
    b"\xff",
    b"\x00",
    b"\n",
    b"\xef\xbb\xbf",
    b'{"a":1,"a":2}',
]

REFUSAL = "refused"


def _read(raw: bytes) -> tuple[str, Any]:
    try:
        return "read", repr(parse(raw))
    except InvalidJson:
        return REFUSAL, None


def _expected(raw: bytes) -> tuple[str, Any]:
    """Read by the standard library, and by the rules said once more, slowly."""
    try:
        hooks: Any = {"object_pairs_hook": _unique, "parse_constant": _never, "parse_int": _int, "parse_float": _float}
        value = json.loads(raw.decode("utf-8"), **hooks)
        _check(value)
    except (ValueError, RecursionError):
        return REFUSAL, None
    return "read", repr(value)


def _unique(pairs: list[tuple[str, Json]]) -> Json:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError
    return value


def _never(_constant: str) -> Json:
    raise ValueError


def _float(digits: str) -> float:
    if len(re.split(r"[.eE]", digits.lstrip("-"))[0]) > 19:
        raise ValueError
    return float(digits)


def _int(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**63:
        raise ValueError
    return number


def _check(value: Json, depth: int = 0) -> None:
    if isinstance(value, str):
        value.encode()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    if isinstance(value, list | dict) and value and depth >= DEPTH_LIMIT:
        raise ValueError
    if isinstance(value, dict):
        for key in value:
            key.encode()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check(inner, depth + 1)

"""JSON read strictly: refused is what two readers could take in two ways, and what costs more to read than to send."""

import re

import jiter

from llm_backend.errors import InvalidJson, Json

DEPTH_LIMIT = 64
"""Arrays and objects within each other; an empty one within the last is not counted."""

NODE_LIMIT = 100_000
"""Arrays, objects and keys of one body: a megabyte of `[],` would cost a hundred times what it costs to send."""

ELEMENT_LIMIT = 400_000
"""Commas of one body, so members and elements: the longest honest lists are those of token ids."""

ODD_NUMBER_LIMIT = 10_000
"""Numbers near the end of their range, each of which is looked at alone."""

_INTEGER_DIGITS = 19
_PARSER_DEPTH = 200  # jiter's own limit, fixed in its source
_WRAPPING = _PARSER_DEPTH - DEPTH_LIMIT
_BEFORE, _AFTER = b"[" * _WRAPPING, b"]" * _WRAPPING

# In a body that was put through this table, every digit is a 0 and every E an e, so that two searches for plain bytes
# tell whether a number might be out of range anywhere (also within a string: then the slower look below decides).
_FLATTENED = bytes.maketrans(b"123456789E", b"000000000e")
_LONG, _STEEP = b"0" * _INTEGER_DIGITS, b"0e000"

# Every repetition is possessive: one pass, nothing kept for a second try.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_PLAIN_INTEGER = rb"(?:[0-8][0-9]{18}|[0-9]{1,18}+)(?![0-9])"
_PLAIN_EXPONENT = rb"[eE](?:-[0-9]++|\+?0*+(?:[12][0-9][0-9]|[0-9]{1,2}+)(?![0-9]))"
_PLAIN_NUMBER = _PLAIN_INTEGER + rb"(?:\.[0-9]*+)?+(?:" + _PLAIN_EXPONENT + rb")?+(?![eE])"
_PLAIN = re.compile(rb'(?:[^"0-9]++|' + _STRING + rb"|" + _PLAIN_NUMBER + rb")*+", re.DOTALL)
_NUMBER = re.compile(rb"([0-9]++)(\.[0-9]++)?+([eE][+-]?+[0-9]++)?+")


def _more_than(limit: int, marks: bytes) -> re.Pattern[bytes]:
    """Match where more than `limit` of `marks` stand outside strings."""
    mark = rb"[" + re.escape(marks) + rb"]"
    other = rb'(?:[^"' + re.escape(marks) + rb"]++|" + _STRING + rb")*+"
    return re.compile(rb"(?:" + other + mark + rb"){" + str(limit + 1).encode() + rb"}", re.DOTALL)


_TOO_MANY = (
    (NODE_LIMIT, b"[{:", _more_than(NODE_LIMIT, b"[{:")),
    (ELEMENT_LIMIT, b",", _more_than(ELEMENT_LIMIT, b",")),
)


def parse(raw: bytes) -> Json:
    """Read the one JSON value in `raw`. Raises InvalidJson, whose message quotes nothing of it.

    Refused besides what is no JSON: another encoding than UTF-8, a byte order mark, lone surrogates, duplicate keys,
    NaN and the infinities, integers beyond 64 bits (signed) and floats beyond their range, more than `DEPTH_LIMIT`
    levels or `NODE_LIMIT` arrays, objects and keys. The escape of the character NUL is data.
    """
    if len(raw) > NODE_LIMIT:
        _refuse_too_many(raw)
    _refuse_numbers_out_of_range(raw)
    if raw.count(b"[") + raw.count(b"{") > DEPTH_LIMIT:
        return _unwrapped(_parsed(_BEFORE + raw + _AFTER))
    return _parsed(raw)


def _refuse_too_many(raw: bytes) -> None:
    for limit, marks, more in _TOO_MANY:
        # Counting includes those within strings and costs nothing beside telling them apart.
        if sum(raw.count(mark) for mark in marks) > limit and more.match(raw):
            raise InvalidJson("The body has too many elements.")


def _parsed(raw: bytes) -> Json:
    try:
        return jiter.from_json(raw, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError as error:
        raise InvalidJson(f"The body is not valid JSON: {_reason(str(error))}.") from None


def _reason(told: str) -> str:
    """Say what the parser said, without the places (they count the wrapping) and the key that it quotes."""
    told = told.partition(" at line ")[0]
    if told.startswith("Detected duplicate key"):
        return "a key appears twice in one object"
    return told if told.isascii() and len(told) < DEPTH_LIMIT and '"' not in told else "it cannot be read"


def _unwrapped(wrapped: Json) -> Json:
    """Take the value from the middle. The wrapping brought the parser's own limit nearer, which checked the depth.

    A body like `1],[2` closes the wrapping and opens it again, which leaves a list of two somewhere.
    """
    for _ in range(_WRAPPING):
        if len(wrapped) != 1:
            raise InvalidJson("The body is not valid JSON: it is not one value.")
        (wrapped,) = wrapped
    return wrapped


def _refuse_numbers_out_of_range(raw: bytes) -> None:
    """Before the parser turns them into Python's integers, which takes the square of their length."""
    flat = raw.translate(_FLATTENED, b"+")
    if _LONG not in flat and _STEEP not in flat:
        return
    position = _after_plain(raw, 0)
    for _ in range(ODD_NUMBER_LIMIT):
        number = _NUMBER.match(raw, position)
        if number is None:  # the end, or an open string, on which the parser has its say
            return
        _refuse_out_of_range(number, negative=raw[position - 1 : position] == b"-")
        position = _after_plain(raw, number.end())
    raise InvalidJson("The body has too many numbers near the end of their range.")


def _after_plain(raw: bytes, position: int) -> int:
    plain = _PLAIN.match(raw, position)
    return plain.end() if plain else position


def _refuse_out_of_range(number: re.Match[bytes], *, negative: bool) -> None:
    integer, fraction, exponent = number.groups()
    if len(integer) > _INTEGER_DIGITS:
        raise InvalidJson("The body has an integer of more than 64 bits.")
    if fraction or exponent:
        if float(number[0]) == float("inf"):
            raise InvalidJson("The body has a number out of range.")
    elif int(integer) > 2**63 - (not negative):
        raise InvalidJson("The body has an integer of more than 64 bits.")

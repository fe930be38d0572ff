"""What keys look like: ours, and those of another system that were taken over with its accounts."""

import re
import secrets as randomness
from zlib import crc32

from llm_backend.errors import Unauthenticated

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

PREFIX = "sk-lb-"

KEY_PATTERN = re.compile(rf"{PREFIX}([0-9A-Za-z]{{12}})-[0-9A-Za-z]{{43}}([0-9A-Za-z]{{6}})")
"""For secret scanners too: public id, 32 random bytes, CRC32 of all before it, each in base 62."""

PUBLIC_ID = re.compile(r"[0-9A-Za-z]{12}")
PUBLIC_ID_DIGITS = 12

LONGEST_TOKEN = 128
CHECKSUM_DIGITS = 6

FOREIGN = re.compile(rf"(?!{PREFIX})[!-~]{{16,{LONGEST_TOKEN}}}")
"""Keys of another system: printable ASCII, not so short that they could be guessed, and never of our own beginning."""


def make_key() -> str:
    """A key that nobody has had: 256 bits of chance."""
    public_id = "".join(randomness.choice(ALPHABET) for _ in range(PUBLIC_ID_DIGITS))
    body = f"{PREFIX}{public_id}-{base62(randomness.randbits(256), 43)}"
    return body + checksum(body)


def public_id_of(token: str) -> str:
    """The public id in a key of our shape. Raises Unauthenticated for everything else, before any work is done."""
    # The length first: no pattern is tried on a megabyte.
    shape = KEY_PATTERN.fullmatch(token) if len(token) <= LONGEST_TOKEN else None
    if shape is None or checksum(token[:-CHECKSUM_DIGITS]) != shape[2]:
        raise Unauthenticated
    return shape[1]


def is_ours(token: str) -> bool:
    """Whether `token` has the shape of our keys, its checksum included."""
    try:
        public_id_of(token)
    except Unauthenticated:
        return False
    return True


def is_foreign(token: str) -> bool:
    """Whether `token` could be a key that was taken over."""
    return len(token) <= LONGEST_TOKEN and FOREIGN.fullmatch(token) is not None


def checksum(body: str) -> str:
    """The last digits of a key, by which a mistyped one is told without a question to the database."""
    return base62(crc32(body.encode()), CHECKSUM_DIGITS)


def base62(number: int, digits: int) -> str:
    """The last `digits` of `number`, most significant first, filled with zeros."""
    found = ""
    for _ in range(digits):
        number, digit = divmod(number, len(ALPHABET))
        found = ALPHABET[digit] + found
    return found

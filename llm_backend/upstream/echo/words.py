"""Words are this model's tokens: what stands between white space, counted and streamed one by one."""

import re
from collections.abc import Sequence

_PIECE = re.compile(r"\s*\S+")


def pieces(text: str) -> tuple[str, ...]:
    """`text`, stripped, cut before the white space of each word: joined they give it back, and each is one token."""
    return tuple(_PIECE.findall(text.strip()))


def count(text: str) -> int:
    """The number of words, which is the number of tokens."""
    return len(text.split())


def repeated(source: Sequence[str], number: int) -> tuple[str, ...]:
    """`number` pieces: those of `source` over and over; the word `echo` where it has none."""
    stems = [" " + piece.strip() for piece in source] or [" echo"]
    first = tuple(stem.strip() for stem in stems[: min(number, 1)])
    return first + tuple(stems[index % len(stems)] for index in range(1, number))

"""How long a sound is, as far as its size and its first bytes tell."""

from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import NamedTuple, Self

from llm_backend.domain.bounds import BYTES_PER_COMPRESSED_SECOND
from llm_backend.domain.usage import Usage
from llm_backend.errors import Json
from llm_backend.upstream.forms import Part

HEAD_BYTES = 4096
"""The header of a wave is in these, but for one with a long list of titles before its samples."""

LIKELY_BYTES_PER_SECOND = 8_000
"""Of compressed speech, 64 kbit/s: what telephones and browsers record."""

UNCOMPRESSED = frozenset({1, 3, 6, 7})
"""Formats of a wave whose every sample has the same size: integers, floats, and both of telephony."""
EXTENSIBLE = 0xFFFE
"""Its format stands later in the header."""
UNTOLD = frozenset({0, 0xFFFF_FFFF})
"""The length of samples that were sent while they were recorded."""


class Wave(NamedTuple):
    """What the header of a wave says."""

    bytes_per_second: int
    start: int
    """Where the samples begin."""
    length: int | None
    """Of the samples; None where it was not known when they were sent."""


@dataclass(frozen=True)
class Sound:
    """A file that is to be listened to."""

    size: int
    """In bytes."""
    head: bytes = b""
    """Its first bytes."""
    name: str = ""

    @classmethod
    def of(cls, part: Part) -> Self:
        """Of a form. Blocks where it lies in a file."""
        return cls(part.size, part.beginning(HEAD_BYTES), part.filename or "")

    @property
    def most_seconds(self) -> int:
        """No longer than this.

        A wave whose header is sound is as long as its size says at the pace of the header; how many samples there are
        is not believed, as whoever decodes it may go on to the end. All else is at least as dense as the thinnest mp3.
        """
        return -(-self.size // (self._wave.bytes_per_second if self._wave else BYTES_PER_COMPRESSED_SECOND))

    @property
    def likely_seconds(self) -> int:
        """A wave's by its header; others by their size, at a usual density. Never above the most."""
        if self._wave is None:
            return -(-self.size // LIKELY_BYTES_PER_SECOND)
        rest = max(0, self.size - self._wave.start)
        samples = rest if self._wave.length is None else min(self._wave.length, rest)
        return -(-samples // self._wave.bytes_per_second)

    def heard_seconds(self, answer: Json) -> int:
        """By an answer that says how long it is: in its usage, or as the verbose ones do; else what is likely."""
        if not isinstance(answer, dict):
            return self.likely_seconds
        usage = Usage.reported(answer.get("usage"))
        told: Json = usage.seconds if usage is not None and usage.seconds else answer.get("duration")
        is_number = isinstance(told, int | float) and not isinstance(told, bool)
        return ceil(min(told, self.most_seconds)) if is_number and told >= 0 else self.likely_seconds

    @cached_property
    def _wave(self) -> Wave | None:
        """The header; None of what is no uncompressed wave, or is called something else.

        OpenAI goes by the name: a file with two faces would be read as the longer one.
        """
        return _wave(self.head) if self.name.lower().endswith((".wav", ".wave")) else None


def _wave(head: bytes) -> Wave | None:
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    offset, pace = 12, None
    while offset + 8 <= len(head):
        kind, length = head[offset : offset + 4], int.from_bytes(head[offset + 4 : offset + 8], "little")
        offset += 8
        if kind == b"data":
            return Wave(pace, offset, None if length in UNTOLD else length) if pace else None
        if kind == b"fmt ":
            pace = _pace(head[offset : offset + length])
        # Chunks begin at even offsets.
        offset += length + length % 2
    return Wave(pace, len(head), None) if pace else None


def _pace(header: bytes) -> int | None:
    """Bytes a second; None where the header contradicts itself, or what it describes is compressed."""
    numbers = [(0, 2), (2, 4), (4, 8), (8, 12), (12, 14), (14, 16), (24, 26)]
    tag, channels, rate, pace, block, bits, extension = (int.from_bytes(header[a:b], "little") for a, b in numbers)
    if (extension if tag == EXTENSIBLE else tag) not in UNCOMPRESSED:
        return None
    is_consistent = block * 8 == channels * bits and pace == rate * block
    return pace if is_consistent and pace > 0 else None

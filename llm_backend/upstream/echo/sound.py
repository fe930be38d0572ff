"""WAV by hand: a tone with the words that it stands for, and what can be read of any such file."""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from math import pi, sin
from typing import Final

from llm_backend.upstream.forms import Part, Stretch

RATE: Final = 24_000
"""Samples in a second, as OpenAI's PCM has them; 16 bits each, one channel."""
SAMPLE_BYTES: Final = 2
_PIECE_BYTES: Final = 24_000
_LOUDNESS: Final = 6_000
_MOST_CHUNKS: Final = 1_000
_MOST_WORDS_BYTES: Final = 64 * 1024
_UNKNOWN_BYTES_A_SECOND: Final = 16_000
"""Of sound in a format that is not read: 128 kbit in a second."""


@dataclass(frozen=True, slots=True)
class Tone:
    """So many samples, as high as a voice is."""

    samples: int
    voice: str

    @property
    def size(self) -> int:
        """In bytes."""
        return self.samples * SAMPLE_BYTES

    @property
    def seconds(self) -> float:
        return self.samples / RATE

    def pieces(self) -> Iterator[bytes]:
        """The samples as they are in PCM: little-endian, half a second in each piece."""
        # Between 250 and 500 Hz; a whole number of samples, so that it can be repeated.
        period = 48 + sha256(self.voice.encode()).digest()[0] % 49
        wave = array("h", (round(_LOUDNESS * sin(2 * pi * place / period)) for place in range(period)))
        # As little-endian on every machine.
        once = struct.pack(f"<{period}h", *wave)
        enough = once * (_PIECE_BYTES // len(once) + 2)
        for begun in range(0, self.size, _PIECE_BYTES):
            start = begun % len(once)
            yield enough[start : start + min(_PIECE_BYTES, self.size - begun)]

    def header(self, words: str) -> bytes:
        """What stands before the samples in a WAV file; `words` are kept in it, as its comment."""
        spoken = words.encode() + b"\0"
        info = b"INFO" + _chunk(b"ICMT", spoken)
        form = struct.pack("<HHIIHH", 1, 1, RATE, RATE * SAMPLE_BYTES, SAMPLE_BYTES, 8 * SAMPLE_BYTES)
        parts = b"WAVE" + _chunk(b"fmt ", form) + _chunk(b"LIST", info)
        data = struct.pack("<4sI", b"data", self.size)
        return struct.pack("<4sI", b"RIFF", len(parts) + len(data) + self.size) + parts + data


@dataclass(frozen=True, slots=True)
class Heard:
    """A file of sound."""

    seconds: float
    words: str | None
    """Those that were kept in it; None where it has none."""


def hear(part: Part) -> Heard:
    """What can be read of `part`: its length is guessed from its size where it is no WAV."""
    words, rate, size = None, 0, None
    start = _at(part, 0, 12)
    if start[:4] == b"RIFF" and start[8:] == b"WAVE":
        for kind, place, length in _chunks(part):
            if kind == b"fmt " and length >= 16:  # noqa: PLR2004 (the fields of every format)
                rate = int.from_bytes(_at(part, place + 8, 4), "little")
            elif kind == b"LIST":
                words = _comment(_at(part, place, min(length, _MOST_WORDS_BYTES)))
            elif kind == b"data":
                size = min(length, part.size - place)
    if rate and size is not None:
        return Heard(size / rate, words)
    return Heard(part.size / _UNKNOWN_BYTES_A_SECOND, None)


def _chunks(part: Part) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a RIFF file: their kind, where they begin, and how many bytes they say they have."""
    place = 12
    for _ in range(_MOST_CHUNKS):
        head = _at(part, place, 8)
        if len(head) < 8:  # noqa: PLR2004 (kind and length)
            return
        kind, length = struct.unpack("<4sI", head)
        yield kind, place + 8, length
        place += 8 + length + length % 2


def _at(part: Part, place: int, size: int) -> bytes:
    """At most `size` bytes from `place` on; none behind the end."""
    if place >= part.size:
        return b""
    return part.data.read(place, size) if isinstance(part.data, Stretch) else part.data[place : place + size]


def _comment(info: bytes) -> str | None:
    """The comment in a list of type INFO."""
    place = info.find(b"ICMT")
    if not info.startswith(b"INFO") or place < 0 or len(info) < place + 8:
        return None
    (length,) = struct.unpack("<I", info[place + 4 : place + 8])
    return info[place + 8 : place + 8 + length].rstrip(b"\0").decode(errors="replace")


def _chunk(kind: bytes, data: bytes) -> bytes:
    """Padded to an even number of bytes, which its length does not count."""
    return struct.pack("<4sI", kind, len(data)) + data + b"\0" * (len(data) % 2)

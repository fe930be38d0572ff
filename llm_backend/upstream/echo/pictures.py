"""Pictures of one colour, as PNG, made by hand."""

import struct
import zlib
from collections.abc import Iterator
from hashlib import sha256

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3
"""PNG's colour type for pixels that are numbers of a palette."""


def colour(text: str) -> bytes:
    """Red, green and blue: always the same for a text."""
    return sha256(text.encode()).digest()[:3]


def lighter(rgb: bytes, share: float) -> bytes:
    """`rgb` mixed with white: all of it at a `share` of 1."""
    return bytes(round(value + (255 - value) * share) for value in rgb)


def png(width: int, height: int, rgb: bytes) -> bytes:
    """A picture of `width` by `height` pixels, each of them `rgb`; a few hundred bytes whatever its size."""
    # One bit for a pixel, all of them number 0 of the palette.
    header = struct.pack(">IIBBBBB", width, height, 1, _PALETTE, 0, 0, 0)
    parts = (
        _chunk(b"IHDR", header),
        _chunk(b"PLTE", rgb),
        _chunk(b"IDAT", b"".join(_rows(width, height))),
        _chunk(b"IEND", b""),
    )
    return _SIGNATURE + b"".join(parts)


def _rows(width: int, height: int) -> Iterator[bytes]:
    """The rows, packed; each begins with the number of its filter, none."""
    packer = zlib.compressobj()
    row = bytes(1 + -(-width // 8))
    for _ in range(height):
        yield packer.compress(row)
    yield packer.flush()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

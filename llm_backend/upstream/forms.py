"""A multipart form on its way to an upstream: what does not fit in memory stays in a file until it is sent."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from secrets import token_hex
from typing import IO, Final, Self

PIECE: Final = 64 * 1024
"""The most bytes that are sent at once."""

_READ: Final = 2 * PIECE
"""The most bytes that are read from a file at once, in a thread."""

_END: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes that lie in a file: one unlinked temporary file holds all those of a form."""

    file: IO[bytes]
    start: int
    size: int

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on. Blocks, and needs no position: several may read at the same time."""
        return os.pread(self.file.fileno(), min(size, self.size - offset), self.start + offset)


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form."""

    name: str
    data: bytes | Stretch
    size: int
    """Of `data`, in bytes."""
    filename: str | None = None
    """None for a text field."""
    content_type: str | None = None

    @classmethod
    def text(cls, name: str, value: str) -> Self:
        """A text field."""
        data = value.encode()
        return cls(name, data, len(data))

    def beginning(self, size: int) -> bytes:
        """At most its first `size` bytes. Blocks where they lie in a file."""
        return self.at(0, size)

    def at(self, offset: int, size: int) -> bytes:
        """At most `size` bytes of it, from `offset` on. Blocks where they lie in a file."""
        if isinstance(self.data, Stretch):
            return self.data.read(offset, size)
        return self.data[offset : offset + size]

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of its bytes, read from a file beside the loop."""
        for offset in range(0, self.size, _READ):
            is_stored = isinstance(self.data, Stretch)
            read = await asyncio.to_thread(self.at, offset, _READ) if is_stored else self.at(offset, _READ)
            if len(read) != min(_READ, self.size - offset):
                raise AssertionError("A form's temporary file has become shorter.")
            for start in range(0, len(read), PIECE):
                yield read[start : start + PIECE]


class Form:
    """Its parts in order, and how they are written: with a boundary of our own, and a length known beforehand."""

    def __init__(self, parts: tuple[Part, ...], held: "Held | None" = None) -> None:
        """`held`: those who need the file in which parts lie; None where all of them are in memory."""
        self.parts = parts
        self._held = held
        # Random, so that no file can contain it on purpose.
        self._boundary = token_hex(16)

    def replaced(self, **fields: str | None) -> "Form":
        """The form with these text fields in place of all of their names; None leaves a field out.

        The file in which parts lie is shared: it is let go of once, for both.
        """
        kept = [part for part in self.parts if part.name not in fields]
        added = [Part.text(name, value) for name, value in fields.items() if value is not None]
        return Form((*added, *kept), self._held)

    @property
    def content_type(self) -> str:
        """The media type, with the boundary."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def length(self) -> int:
        """Of the whole body, in bytes."""
        return sum(len(self._head(part)) + part.size + len(_END) for part in self.parts) + len(self._last())

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces of at most 64 KiB, from its start each time."""
        for part in self.parts:
            yield self._head(part)
            async for piece in part.pieces():
                yield piece
            yield _END
        yield self._last()

    def kept(self) -> Self:
        """The form itself, for one more who will close it: what goes on after the request needs its file longer."""
        if self._held is not None:
            self._held.by_one_more()
        return self

    def close(self) -> None:
        """Let go of it; the last who does closes the file, and with it what it holds is gone."""
        if self._held is not None:
            self._held.by_one_less()

    def _head(self, part: Part) -> bytes:
        lines = [f"--{self._boundary}", f'content-disposition: form-data; name="{_quoted(part.name)}"']
        if part.filename is not None:
            lines[1] += f'; filename="{_quoted(part.filename)}"'
        if part.content_type is not None:
            lines.append(f"content-type: {part.content_type}")
        return "\r\n".join((*lines, "", "")).encode()

    def _last(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()


class Held:
    """A temporary file that is closed when nobody needs it any more."""

    def __init__(self, file: IO[bytes]) -> None:
        """Needed by one, who makes it."""
        self._file = file
        self._holders = 1

    def by_one_more(self) -> None:
        if self._file.closed:
            raise AssertionError("A form is kept before the last one lets go of it.")
        self._holders += 1

    def by_one_less(self) -> None:
        self._holders -= 1
        if not self._holders:
            self._file.close()


def _quoted(text: str) -> str:
    """As browsers write a name between quotes."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")

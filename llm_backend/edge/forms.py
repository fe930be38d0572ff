"""A multipart form on its way in: read part by part, so that its size is never that of memory."""

import asyncio
import logging
import tempfile
from dataclasses import dataclass, field
from typing import IO, Final

import structlog
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from llm_backend.edge.form_heads import HEAD_BYTES, HEAD_LINES, Head, Lines, shown
from llm_backend.edge.intake import Intake
from llm_backend.errors import InvalidForm, RequestTooLarge, Unavailable
from llm_backend.upstream.forms import Form, Held, Part, Stretch

PARTS: Final = 128
TEXT_BYTES: Final = 1024 * 1024
"""The most that one text field may have: a voice's sample as a data URL is one."""
TEXTS_BYTES: Final = 4 * 1024 * 1024
"""The most that all text fields may have together: they are kept in memory."""
FILES_IN_MEMORY: Final = 512 * 1024
"""How much of all files is kept in memory; the file that passes it goes to the disk, with those after it."""

_BATCH: Final = 128 * 1024
"""So much is gathered before a thread writes it."""
_BETWEEN: Final = 64 * 1024
"""The most bytes that are neither head nor content: boundaries, and what some write before, between and after."""

# The parser tells of each refusal, with bytes of the form.
_SILENT = logging.getLogger("llm_backend.forms.parser")
_SILENT.disabled = True


@dataclass(frozen=True, slots=True)
class Upload:
    """A form whose bytes are still on their way."""

    intake: Intake
    boundary: bytes
    limit: int
    """Of all its bytes."""
    declared: int | None
    """Its length, as the client says."""

    async def read(self) -> Form:
        """The form, complete, whose file its caller closes.

        Raises InvalidForm, RequestTooLarge, UnsupportedMediaType, Unavailable without room for its files, and as
        `Intake.chunks`.
        """
        reading = _Reading(self.boundary)
        try:
            async for chunk in self.intake.chunks(self.limit, self.declared):
                reading.feed(chunk)
                await reading.store(_BATCH)
            await reading.store(1)
            return reading.form()
        except BaseException:
            reading.close()
            raise
        finally:
            reading.forget()


@dataclass(slots=True)
class _Arriving:
    """A part that has begun."""

    head: Head
    content: bytearray = field(default_factory=bytearray)
    start: int | None = None
    """Where it begins in the file; None while it is in memory."""
    size: int = 0

    @property
    def is_text(self) -> bool:
        return self.head.filename is None


class _Reading:
    """The parser's callbacks, and what they have found."""

    def __init__(self, boundary: bytes) -> None:
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._lines.add_to_name(data[start:end]),
                "on_header_value": lambda data, start, end: self._lines.add_to_value(data[start:end]),
                "on_header_end": self._end_line,
                "on_headers_finished": self._understand,
                "on_part_data": self._take,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
            max_header_count=HEAD_LINES,
            max_header_size=HEAD_BYTES,
        )
        self._parser.logger = _SILENT
        self._delimiter = b"\r\n--" + boundary
        self._delimiters = 0
        self._lines = Lines()
        self._arrived: list[_Arriving] = []
        self._fed = self._understood = 0
        self._texts = self._in_memory = 0
        self._file: IO[bytes] | None = None
        self._pending = bytearray()
        self._stored = 0
        self._is_complete = False

    def feed(self, chunk: bytes) -> None:
        """The next bytes. Raises InvalidForm, RequestTooLarge, UnsupportedMediaType."""
        # Counted first: of a file full of what is almost a boundary the parser would make slow work.
        self._delimiters += chunk.count(self._delimiter)
        if self._delimiters > PARTS + 1:
            raise _too_many()
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise InvalidForm("The body is no form with the boundary that its Content-Type names.") from None
        self._fed += len(chunk)
        if self._fed - self._understood > _BETWEEN + len(chunk):
            raise InvalidForm("The form has too much that belongs to none of its parts.")

    async def store(self, least: int) -> None:
        """Write what waits for the file, where that is at least so much. Raises Unavailable where there is no room."""
        if len(self._pending) < least:
            return
        pending, self._pending = self._pending, bytearray()
        try:
            await asyncio.to_thread(self._write, pending)
        except OSError as error:
            structlog.get_logger("llm_backend.forms").error("form_not_stored", exc_info=error)
            raise Unavailable("The server has no room for the form's files.", retry_after_seconds=10) from error

    def form(self) -> Form:
        """All of it. Raises InvalidForm where it has no end."""
        if not self._is_complete:
            raise InvalidForm("The form ends before its last boundary.")
        file = self._file
        parts = tuple(
            Part(
                name=each.head.name,
                data=bytes(each.content)
                if file is None or each.start is None
                else Stretch(file, each.start, each.size),
                size=each.size,
                filename=each.head.filename,
                content_type=each.head.content_type,
            )
            for each in self._arrived
            if not (each.head.filename == "" and each.size == 0)  # a browser's field without a file
        )
        return Form(parts, None if file is None else Held(file))

    def close(self) -> None:
        """Give up what was read."""
        if self._file is not None:
            self._file.close()

    def forget(self) -> None:
        """Let go of what was found: the parser and its callbacks hold each other."""
        self._parser.callbacks = {}
        self._arrived.clear()

    def _begin(self) -> None:
        if len(self._arrived) >= PARTS:
            raise _too_many()
        self._lines = Lines()

    def _end_line(self) -> None:
        self._lines.end()

    def _understand(self) -> None:
        self._understood += self._lines.size
        self._arrived.append(_Arriving(self._lines.head()))

    def _take(self, data: bytes, start: int, end: int) -> None:
        part, size = self._arrived[-1], end - start
        part.size += size
        self._understood += size
        if part.is_text:
            self._bound_texts(part, size)
        elif part.start is None:
            self._in_memory += size
            if self._in_memory > FILES_IN_MEMORY:
                self._move(part)
        (part.content if part.start is None else self._pending).extend(memoryview(data)[start:end])

    def _bound_texts(self, part: _Arriving, size: int) -> None:
        self._texts += size
        if part.size > TEXT_BYTES:
            message = f"A text field has at most {TEXT_BYTES} bytes."
            raise RequestTooLarge(message, param=shown(part.head.name))
        if self._texts > TEXTS_BYTES:
            message = f"The text fields of a form have at most {TEXTS_BYTES} bytes together."
            raise RequestTooLarge(message, param=shown(part.head.name))

    def _move(self, part: _Arriving) -> None:
        """To the file: parts lie there one after the other, for only the last one still grows."""
        self._in_memory -= part.size
        part.start = self._stored + len(self._pending)
        self._pending += part.content
        part.content = bytearray()

    def _end(self) -> None:
        part = self._arrived[-1]
        if not part.is_text:
            return
        try:
            text = part.content.decode()
        except UnicodeDecodeError:
            raise InvalidForm("A text field is not UTF-8.", param=shown(part.head.name)) from None
        if "\0" in text:
            raise InvalidForm("A text field has a NUL in it.", param=shown(part.head.name))

    def _finish(self) -> None:
        self._is_complete = True

    def _write(self, data: bytearray) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by whoever is last to need it)
        self._file.write(data)
        self._file.flush()
        self._stored += len(data)


def _too_many() -> InvalidForm:
    return InvalidForm(f"A form has at most {PARTS} parts.")

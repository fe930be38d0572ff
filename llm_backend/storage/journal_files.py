"""The journal's files: lines with a checksum, and the lock that tells whether their writer lives.

A line is one entry with the CRC-32 of its JSON, `{"crc32":"…","entry":{…}}`. A process keeps its file locked as long as
it lives: one that can be locked was left behind.
"""

import errno
import fcntl
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import orjson
import structlog

from llm_backend.errors import Json

_LINE = re.compile(rb'\{"crc32":"([0-9a-f]{8})","entry":(\{.*\})\}')

log = structlog.get_logger("llm_backend.journal")


@dataclass(frozen=True, slots=True)
class Found:
    """The file of a dead process. Nobody else has it until it is closed."""

    path: Path
    entries: list[Json]
    """Oldest first."""
    _file: FileIO

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        self._file.close()


class OwnFile:
    """The file of this process, and the lock on it. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._size = 0
        """Of the lines that are known to be on the disk."""

    def append(self, lines: bytes) -> None:
        """Returns when they are on the disk; raises OSError where they are not."""
        if self._descriptor is None:
            self._descriptor, self._size = _make(self.path), 0
        try:
            _write_at(self._descriptor, lines, self._size)
            os.fsync(self._descriptor)
        except OSError:
            # A part of a line would be damage. Where this fails as well, the next lines are written over it.
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(lines)

    def remove(self) -> None:
        if self._descriptor is not None:
            self.path.unlink(missing_ok=True)
            self._size = 0
            self.close()

    def close(self) -> None:
        """Let go of the file; an empty one is removed."""
        if self._descriptor is None:
            return
        if not self._size:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None


def _make(path: Path) -> int:
    """The descriptor of the new file `path`, locked."""
    folder = path.parent
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(folder.parent)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Before it was locked, another process may have found it without an owner, and removed it.
            if os.fstat(descriptor).st_nlink:
                _sync(folder)
                return descriptor
        except OSError:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        os.close(descriptor)


def _sync(folder: Path) -> None:
    """Put the folder's names on the disk: without that a power cut loses the file, whatever was written to it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        if not written:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        left, offset = left[written:], offset + written


def line_of(entry: Json) -> bytes:
    text = orjson.dumps(entry)
    return b'{"crc32":"%08x","entry":%s}\n' % (zlib.crc32(text), text)


def _read(line: bytes) -> Json:
    """The entry of a line; None where the line is not as it was written."""
    found = _LINE.fullmatch(line)
    if found is None or int(found[1], 16) != zlib.crc32(found[2]):
        return None
    return orjson.loads(found[2])


def left_behind(folder: Path) -> list[Found]:
    """The files of dead processes, in the order of these processes' names."""
    found = []
    for path in sorted(folder.glob("journal-*.jsonl")):
        try:
            one = _open(path)
        except OSError as error:
            log.critical("journal_unreadable", file=str(path), error=str(error))
        else:
            found.extend([one] if one else [])
    return found


def _open(path: Path) -> Found | None:
    """The file, locked; None where its owner lives, another process has it, or there is nothing in it."""
    with ExitStack() as opened:
        try:
            file = opened.enter_context(FileIO(path, "rb+"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (FileNotFoundError, BlockingIOError):
            return None
        # Who removes a file has it locked: one that was removed until here is not what now bears its name.
        if not os.fstat(file.fileno()).st_nlink:
            return None
        data = file.readall()
        if not data:
            path.unlink()
            return None
        found = Found(path, list(_entries(path, data)), file)
        opened.pop_all()
        return found


def _entries(path: Path, data: bytes) -> Iterator[Json]:
    offset = 0
    for line in data.split(b"\n"):
        entry = _read(line)
        if entry is not None:
            yield entry
        elif line:
            _keep(path, offset, line)
        offset += len(line) + 1


def _keep(path: Path, offset: int, damaged: bytes) -> None:
    """Say once that a line of the file is damaged, and keep it beside the file."""
    copy = path.with_name(f"{path.name}.{offset}.damaged")
    if copy.exists() and copy.read_bytes() == damaged:
        return
    copy.touch(mode=0o600)
    copy.write_bytes(damaged)
    log.critical("journal_damaged", file=str(path), offset=offset, bytes=len(damaged), copy=copy.name)

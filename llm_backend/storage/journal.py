"""The journal: settlements that the database would not take, on this disk until it does.

One file per process, made with its first entry and removed when all of its entries are confirmed. Applying has to be
idempotent by the entry's `id`: an entry may be seen again although it was applied.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from llm_backend.errors import Json
from llm_backend.storage import journal_files
from llm_backend.storage.journal_files import Found, OwnFile, line_of

ENTRY_LIMIT = 16 * 1024
"""Bytes of one entry, as a line."""

log = structlog.get_logger("llm_backend.journal")


class JournalFailed(Exception):
    """The entry is not on the disk: that is full or gone, or the entry is too large for the journal."""


class LeftBehind:
    """What a dead process has left, held by this one until the block that it was found in ends."""

    def __init__(self, found: Found) -> None:
        self._found = found

    @property
    def path(self) -> Path:
        return self._found.path

    @property
    def entries(self) -> list[Json]:
        """Oldest first."""
        return self._found.entries

    async def confirm(self) -> None:
        """All of them are in the database: the file goes. Raises JournalFailed where it cannot be removed."""
        try:
            await asyncio.to_thread(self._found.remove)
        except OSError as error:
            raise JournalFailed(f"{self._found.path} is applied and cannot be removed.") from error


@dataclass(frozen=True, slots=True)
class _Job:
    """An entry to be written, or ids to be forgotten, and who waits for it."""

    done: asyncio.Future[None]
    entry: Json = None
    line: bytes = b""
    ids: Collection[str] = ()


class Journal:
    """The entries of this process. They are few: nothing is admitted while the database is away."""

    def __init__(self, folder: Path, owner: str) -> None:
        """`owner` names this process, differently at each start. Nothing is made before the first entry."""
        self._file = OwnFile(folder / f"journal-{owner}.jsonl")
        self._pending: dict[str, Json] = {}
        self._jobs: list[_Job] = []
        self._working: asyncio.Task[None] | None = None

    async def append(self, entry: Json) -> None:
        """Returns when `entry` is on the disk, with all that came while the ones before were written.

        Raises JournalFailed: then it is not there, and has to be kept elsewhere.
        """
        line = line_of(entry)
        if len(line) > ENTRY_LIMIT:
            raise JournalFailed(f"An entry of the journal has at most {ENTRY_LIMIT} bytes.")
        await self._do(_Job(asyncio.get_running_loop().create_future(), entry, line))

    def entries(self) -> list[Json]:
        """What is on the disk and not confirmed, oldest first."""
        return list(self._pending.values())

    async def confirm(self, ids: Collection[str]) -> None:
        """These are in the database. The file goes with the last of them: until then they may be seen again."""
        await self._do(_Job(asyncio.get_running_loop().create_future(), ids=ids))

    async def close(self) -> None:
        """Finish what is under way. What is not confirmed stays on the disk, as left behind."""
        if self._working is not None:
            await self._working
        await asyncio.to_thread(self._file.close)

    @staticmethod
    @asynccontextmanager
    async def left_behind(folder: Path) -> AsyncIterator[list[LeftBehind]]:
        """The files of dead processes. Those that are not confirmed in the block can be found again after it.

        What is damaged is not among the entries: a line of level `critical` names it, and its bytes are kept beside the
        file.
        """
        found = await asyncio.to_thread(journal_files.left_behind, folder)
        try:
            yield [LeftBehind(each) for each in found]
        finally:
            for each in found:
                each.close()

    async def _do(self, job: _Job) -> None:
        self._jobs.append(job)
        if self._working is None:
            self._working = asyncio.create_task(self._work(), name="journal")
        await job.done

    async def _work(self) -> None:
        # One task does everything in turn: nobody's cancellation reaches it, and the file has one writer.
        while self._jobs:
            jobs, self._jobs = self._jobs, []
            await self._write([job for job in jobs if job.line])
            await self._forget([job for job in jobs if not job.line])
        self._working = None

    async def _write(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            await asyncio.to_thread(self._file.append, b"".join(job.line for job in jobs))
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
            for job in jobs:
                failed = JournalFailed(f"{self._file.path} cannot be written: {error}")
                failed.__cause__ = error
                _answer(job, failed)
            return
        for job in jobs:
            self._pending[job.entry["id"]] = job.entry
            _answer(job)

    async def _forget(self, jobs: list[_Job]) -> None:
        for entry_id in (entry_id for job in jobs for entry_id in job.ids):
            self._pending.pop(entry_id, None)
        if jobs and not self._pending:
            try:
                await asyncio.to_thread(self._file.remove)
            except (OSError, RuntimeError) as error:
                # Harmless: what is applied again changes nothing. The next confirmation tries again.
                log.warning("journal_not_removed", file=str(self._file.path), error=str(error))
        for job in jobs:
            _answer(job)


def _answer(job: _Job, error: Exception | None = None) -> None:
    if job.done.done():  # whoever waited was cancelled
        return
    if error is None:
        job.done.set_result(None)
    else:
        job.done.set_exception(error)

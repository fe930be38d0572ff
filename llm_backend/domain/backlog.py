"""What the database would not take: kept on this disk, entered as soon as it does, each exactly once."""

import asyncio
from contextlib import suppress
from pathlib import Path

import structlog

from llm_backend.domain.entries import Entry, Settle, Void
from llm_backend.domain.ledger import Ledger
from llm_backend.errors import Json, Unavailable
from llm_backend.metrics import Metrics
from llm_backend.storage import usage
from llm_backend.storage.journal import Journal, JournalFailed

log = structlog.get_logger("llm_backend.backlog")


class Backlog:
    """Entries that wait for the database, oldest first."""

    def __init__(self, ledger: Ledger, folder: Path, metrics: Metrics) -> None:
        """`folder`: where the journals of this process and of its predecessors are."""
        self._ledger = ledger
        self._folder = folder
        self._journal = Journal(folder, ledger.terms.owner)
        self._metrics = metrics
        self._waiting: dict[str, Entry] = {}
        self._replaying = asyncio.Lock()
        metrics.pending.set_function(lambda: len(self._waiting))

    @property
    def attempts(self) -> set[str]:
        """Those whose entries wait."""
        return set(self._waiting)

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    async def keep(self, entry: Entry) -> None:
        """Take what the database did not; returns once it is safe from a crash, or was at least said in the log."""
        written = as_json(entry)
        self._waiting[written["id"]] = entry
        try:
            await self._journal.append(written)
        except JournalFailed:
            # In memory still; should this process die too, the log has it complete.
            self._metrics.records_unwritten.inc()
            log.critical("usage_record_unwritten", **written)

    async def replay(self) -> None:
        """Enter what waits, as far as the database takes it."""
        async with self._replaying:
            done = []
            for entry_id, entry in tuple(self._waiting.items()):
                if not await self._entered(entry):
                    break
                del self._waiting[entry_id]
                done.append(entry_id)
            if done:
                with suppress(JournalFailed):
                    # It is entered; being found once more after a restart changes nothing.
                    await self._journal.confirm(done)

    async def take_over(self) -> None:
        """Enter what processes that died have left. Raises Unavailable.

        A journal with an entry that is refused for what it is, as where it belongs to another database, stays.
        """
        async with Journal.left_behind(self._folder) as found:
            for left in found:
                try:
                    for written in left.entries:
                        await self._ledger.enter(from_json(written))
                    await left.confirm()
                except Unavailable:
                    raise
                except Exception:
                    self._metrics.records_unwritten.inc()
                    log.critical("journal_not_entered", file=str(left.path), exc_info=True)

    async def close(self) -> None:
        """What waits still is on the disk, for the next process."""
        await self._journal.close()

    async def _entered(self, entry: Entry) -> bool:
        """Whether it needs no further try: entered, or refused for what it is, which another try does not change."""
        try:
            await self._ledger.enter(entry)
        except Unavailable:
            return False
        except Exception:
            self._metrics.records_unwritten.inc()
            log.critical("usage_record_unwritten", exc_info=True, **as_json(entry))
        return True


def as_json(entry: Entry) -> Json:
    """An entry as a journal keeps it."""
    if isinstance(entry, Settle):
        return {"id": entry.record.attempt_id, "settle": usage.as_json(entry.record)}
    if isinstance(entry, Void):
        return {"id": entry.attempt_id, "void": {"account_id": entry.account_id}}
    raise AssertionError("What is reserved is never entered later.")


def from_json(written: Json) -> Entry:
    """The entry that a journal kept."""
    if "settle" in written:
        return Settle(usage.from_json(written["settle"]))
    return Void(written["id"], written["void"]["account_id"])

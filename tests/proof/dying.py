"""The ordinary server, except that it kills itself at the place that a file names: `python -m tests.proof.dying`.

Every line on standard input starts it once more, as a fork: what is imported and made before anything runs is so only
once. What it prints comes out between `started PID` and `ended STATUS`. The file (`DYING_ORDER`) says a point and a
number: SIGKILL comes at that passing of that point. Without the file all of this does nothing.
"""

import os
import signal
import sys
from collections.abc import Collection, Generator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import aiosqlite
import asyncpg

from llm_backend import app, parts
from llm_backend.__main__ import main
from llm_backend.cli import opening, program
from llm_backend.domain.entries import Entry, Outcome, Settle
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.memory import Known
from llm_backend.domain.metering import Metering
from llm_backend.domain.streams import StreamedAnswer
from llm_backend.domain.transaction import Transaction
from llm_backend.edge import workers
from llm_backend.errors import DatabaseUnavailable
from llm_backend.storage.journal_files import OwnFile
from llm_backend.storage.ledger_writes import Writes
from llm_backend.streaming.pipe import Pipe
from llm_backend.upstream.upstream import Upstream

IMPORTED = (aiosqlite, asyncpg, opening, program, workers)
"""What a server loads when it starts, loaded before the fork."""

ORDER = Path(os.environ["DYING_ORDER"])
BEAT_SECONDS = 0.1
SWEEP_SECONDS = 0.2

_passed = 0


def ordered() -> tuple[str, int]:
    """Where to die, and at which passing."""
    try:
        point, _, number = ORDER.read_text().rpartition(" ")
    except FileNotFoundError:
        return "", 0
    return point, int(number)


def passes(point: str) -> None:
    """Die, if this is the place and the time."""
    global _passed  # noqa: PLW0603 (of this process, in whichever thread)
    named, number = ordered()
    if named == point:
        _passed += 1
        if _passed >= number:
            os.kill(os.getpid(), signal.SIGKILL)


def before(owner: type[Any], name: str, point: str) -> None:
    """`owner.name` passes the point before it does anything."""
    original = getattr(owner, name)

    @wraps(original)
    async def dying(*args: Any, **named: Any) -> Any:
        passes(point)
        return await original(*args, **named)

    setattr(owner, name, dying)


def after(owner: type[Any], name: str, point: str) -> None:
    """`owner.name` passes the point when it is done, before anyone knows."""
    original = getattr(owner, name)

    @wraps(original)
    async def dying(*args: Any, **named: Any) -> Any:
        result = await original(*args, **named)
        passes(point)
        return result

    setattr(owner, name, dying)


def in_transactions() -> None:
    """Pass points when all of a transaction is written and nothing is committed."""
    original, forecast = Transaction._written, Transaction.forecast

    def dying(self: Transaction) -> Generator[Any, Any, None]:
        yield from original(self)
        _pass_what_is_written(self.writes)

    def at_once(self: Transaction, known: Known) -> Generator[Any, Any, Any]:
        """What is one statement is written when it is committed: the last point is the moment before it is sent."""
        steps = forecast(self, known)
        try:
            step = next(steps)
            _pass_what_is_written(self.writes)
            steps.send((yield step))
        except StopIteration as end:
            return end.value
        raise AssertionError("A forecast is of more than one statement.")

    setattr(Transaction, "_written", dying)  # noqa: B010 (to mypy a method is no variable)
    setattr(Transaction, "forecast", at_once)  # noqa: B010 (as above)


def _pass_what_is_written(writes: Writes) -> None:
    if writes.reservations:
        passes("reserving")
    if any(record["basis"] != "crash" for record in writes.records):
        passes("settling")
    if any(record["basis"] == "crash" for record in writes.records):
        passes("sweeping")
        passes("recovering")


def in_beats() -> None:
    """Pass a point after a beat that kept something; none keeps a lease that is to be swept."""
    original = Ledger.beat

    async def dying(self: Ledger, held: Collection[str], seen: Mapping[str, int]) -> set[str]:
        if ordered()[0] == "sweeping":
            return set()
        refused = await original(self, held, seen)
        if any(seen.values()):
            passes("beaten")
        return refused

    setattr(Ledger, "beat", dying)  # noqa: B010 (as above)


def in_the_journal() -> None:
    """Take the database away from settlements, and pass a point when half of a line is on the disk, and when it is."""
    together, at_once, append = Ledger._together, Ledger._at_once, OwnFile.append

    def has_no_database(entry: Entry) -> bool:
        return ordered()[0] == "journal" and isinstance(entry, Settle)

    async def without_database(self: Ledger, entries: list[Entry]) -> list[Outcome]:
        if any(map(has_no_database, entries)):
            raise DatabaseUnavailable
        return await together(self, entries)

    def not_at_once(self: Ledger, entry: Entry) -> Outcome | None:
        return None if has_no_database(entry) else at_once(self, entry)

    def dying(self: OwnFile, lines: bytes) -> None:
        if ordered()[0] == "journal":
            half, size = len(lines) // 2, self._size
            append(self, lines[:half])
            passes("journal")
            self._size = size
        append(self, lines)
        passes("journal")

    setattr(Ledger, "_together", without_database)  # noqa: B010 (as above)
    setattr(Ledger, "_at_once", not_at_once)  # noqa: B010 (as above)
    setattr(OwnFile, "append", dying)  # noqa: B010 (as above)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def serve() -> None:
    """Be the server until its end."""
    sys.argv = ["llm-backend", "serve", "--port", "0"]
    try:
        main()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)


def wrap() -> None:
    """Put the points where they belong."""
    before(Ledger, "reserve", "before reserving")
    before(Upstream, "open", "before asking")
    after(Upstream, "open", "asked")
    after(Pipe, "put", "first event")
    before(StreamedAnswer, "_settle_stream", "before settling")
    after(Metering, "settle", "settled")
    in_transactions()
    in_beats()
    in_the_journal()
    # As often as it takes for a proof of many deaths to end some day.
    parts.BEAT_SECONDS, parts.SWEEP_SECONDS = BEAT_SECONDS, SWEEP_SECONDS


def preload() -> None:
    """Make the application before the fork: nothing in it runs yet, and each server gets it as it was made."""
    made = app.from_environment()
    setattr(app, "from_environment", lambda: made)  # noqa: B010 (as above)


if __name__ == "__main__":
    wrap()
    preload()
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            serve()
        say(f"started {child}")
        _, status = os.waitpid(child, 0)
        say(f"ended {os.waitstatus_to_exitcode(status)}")

"""What many streams have to keep, written together: one transaction a turn, however many there are."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_backend.errors import Unavailable
from llm_backend.storage.database import Database
from llm_backend.storage.driver import Plan, Rows, Values
from llm_backend.storage.response_events import Events
from llm_backend.storage.state_writes import state_writes

TURN_SECONDS = 0.1
"""How far behind its client what is kept may be."""


@dataclass(frozen=True, slots=True)
class Portion:
    """What one stream has for a turn: a value, for a plan may run in the driver's thread while more comes."""

    public_id: str
    account_id: int
    number: int | None
    """Its row's; None where it has none that is known."""
    opened: Values
    """The columns of its row, where that is to be made."""
    groups: tuple[Events, ...]
    """What follows on what is known to be kept."""
    is_unsure: bool
    """Whether the database may have taken some of it, and the row, without a word."""
    is_to_clear: bool
    """Whether none of its events is to be kept any more."""


class Writer(Protocol):
    """Who has something to be kept."""

    def portion(self) -> Portion | None:
        """What it has; None where that is nothing, or where a turn writes some of it."""
        ...

    def join(self, turn: "asyncio.Task[None]") -> None:
        """Note which turn writes it."""
        ...

    def confirm(self, portion: Portion, number: int | None) -> None:
        """That is kept, in the row of that number; None: the row is another process's, or gone."""
        ...

    def doubt(self, error: Exception) -> None:
        """It may not be kept."""
        ...


Writing = Sequence[tuple[Writer, Portion]]


class Turns:
    """Of one process."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._writes = state_writes(is_sqlite=database.is_sqlite)
        self._wanted: dict[Writer, None] = {}
        self._new: dict[Writer, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def want(self, writer: Writer, *, at_once: bool = False) -> None:
        """Give it the next turn: in a while, or before anything else is done."""
        self._wanted[writer] = None
        if at_once and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(0 if at_once else TURN_SECONDS, self._begin_wanted)

    async def open(self, writer: Writer) -> None:
        """Begin a turn of those that are new in this moment. It is one of them, unless it is being written already."""
        self._new[writer] = None
        await asyncio.sleep(0)
        # The first one has begun it for all.
        if writer in self._new:
            writers, self._new = self._new, {}
            self.begin(writers)

    def begin(self, writers: Iterable[Writer]) -> None:
        """Write what these have now."""
        writing = [(each, portion) for each in writers if (portion := each.portion()) is not None]
        if writing:
            turn = self._database.begun(self._write(writing))
            for each, _ in writing:
                each.join(turn)

    def _begin_wanted(self) -> None:
        self._timer = None
        writers, self._wanted = self._wanted, {}
        self.begin(writers)

    async def _write(self, writing: Writing) -> None:
        try:
            numbers = await self._database.write(self._plan([portion for _, portion in writing]), is_brief=True)
        except Unavailable as error:
            _doubt(writing, error)
        except Exception as error:  # noqa: BLE001 (each is told, and the log has it)
            if len(writing) == 1:
                _doubt(writing, error)
                return
            # One of them breaks the transaction: the others do not suffer for it.
            for each in writing:
                await self._write([each])
        else:
            for writer, portion in writing:
                writer.confirm(portion, numbers.get(portion.public_id))

    def _plan(self, portions: Sequence[Portion]) -> Plan[dict[str, int]]:
        """The number of each one's row, but of those that are not this process's any more."""
        numbers = yield from self._rows(portions)
        events: list[Values] = []
        for each in portions:
            if each.public_id in numbers:
                events += yield from self._more(each, numbers[each.public_id])
        if events:
            yield self._writes.events_of(events)
        return numbers

    def _rows(self, portions: Sequence[Portion]) -> Plan[dict[str, int]]:
        """The same. Those that there are may be changed by nobody else then, the others are made."""
        known = [each.public_id for each in portions if each.number is not None or each.is_unsure]
        rows: Rows = (yield self._writes.held_of(known, self._owner)) if known else ()
        numbers = {public_id: int(number) for public_id, number in rows}
        for each in portions:
            if each.number is not None or each.public_id in numbers:
                continue
            if each.is_unsure and (yield self._writes.number(each.account_id, each.public_id)):
                continue
            [(number,)] = yield self._writes.open({**each.opened, "owner": self._owner})
            numbers[each.public_id] = int(number)
        return numbers

    def _more(self, portion: Portion, number: int) -> Plan[list[Values]]:
        """What is to be added for one, as rows: at most one."""
        own, groups = {"response_id": number, "account_id": portion.account_id}, portion.groups
        if portion.is_to_clear:
            yield self._writes.keep_no_events(own)
            yield self._writes.no_events(own)
            return []
        if portion.is_unsure:
            [(last,)] = yield self._writes.last_event(own)
            groups = behind(groups, last)
        return [own | joined(groups)._asdict()] if groups else []


def behind(groups: Sequence[Events], last: int | None) -> tuple[Events, ...]:
    """Those that are not kept, where `last` is the number of the last event that is; None: none is."""
    return tuple(group for group in groups if last is None or group.last > last)


def joined(groups: Sequence[Events]) -> Events:
    """All of them as one: at least one."""
    return Events(groups[0].first, groups[-1].last, b"".join(group.frames for group in groups))


def _doubt(writing: Writing, error: Exception) -> None:
    for writer, _ in writing:
        writer.doubt(error)

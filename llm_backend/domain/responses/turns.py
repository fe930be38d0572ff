"""What many streams have to keep, written together: one transaction a turn, however many there are."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from llm_backend.errors import Unavailable
from llm_backend.storage.database import Database
from llm_backend.storage.driver import Plan, Rows, Values
from llm_backend.storage.state_writes import state_writes

TURN_SECONDS = 0.1
"""How far behind its client what is kept may be."""


class Writer(Protocol):
    """Who has something to be kept, sure of what is kept already."""

    public_id: str
    number: int | None

    @property
    def has_turn(self) -> bool:
        """Whether it has something still, and nothing of it is being written."""
        ...

    def begun(self) -> Values:
        """The columns of its row, where there is none yet."""
        ...

    def events(self, number: int) -> Values:
        """What it has, as a row behind those that it has already."""
        ...

    def wait_for(self, turn: "asyncio.Task[None]") -> None:
        """Note that this writes what it has."""
        ...

    def note(self, number: int | None, error: Exception | None = None) -> None:
        """It is kept, in the response of that number; None: it is another process's, or gone. Or it may not be kept."""
        ...


class Turns:
    """Of one process."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner
        self._writes = state_writes(is_sqlite=database.is_sqlite)
        self._wanted: dict[Writer, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def want(self, writer: Writer, *, at_once: bool = False) -> None:
        """Give it the next turn: in a while, or before anything else is done."""
        self._wanted[writer] = None
        if at_once and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(0 if at_once else TURN_SECONDS, self._begin)

    def _begin(self) -> None:
        self._timer = None
        writers = [each for each in self._wanted if each.has_turn]
        self._wanted.clear()
        if writers:
            turn = self._database.begun(self._written(writers))
            for each in writers:
                each.wait_for(turn)

    async def _written(self, writers: Sequence[Writer]) -> None:
        try:
            numbers = await self._database.write(self._plan(writers), is_brief=True)
        except Unavailable as error:
            _note(writers, error)
        except Exception as error:  # noqa: BLE001 (each is told, and the log has it)
            if len(writers) == 1:
                _note(writers, error)
                return
            # One of them breaks the transaction: the others do not suffer for it.
            for each in writers:
                await self._written([each])
        else:
            for each in writers:
                each.note(numbers.get(each.public_id))

    def _plan(self, writers: Sequence[Writer]) -> Plan[dict[str, int]]:
        """The number of each one's row, but of those that are not this process's any more."""
        known = [each.public_id for each in writers if each.number is not None]
        rows: Rows = (yield self._writes.held_of(known, self._owner)) if known else ()
        numbers = {public_id: int(number) for public_id, number in rows}
        for each in writers:
            if each.number is None:
                [(number,)] = yield self._writes.begun({**each.begun(), "owner": self._owner})
                numbers[each.public_id] = int(number)
        events = [each.events(numbers[each.public_id]) for each in writers if each.public_id in numbers]
        if events:
            yield self._writes.events_of(events)
        return numbers


def _note(writers: Iterable[Writer], error: Exception) -> None:
    for each in writers:
        each.note(None, error)

"""The events of a response, kept while it is made: so that whoever lost its stream can read on, here or elsewhere."""

import asyncio
from collections.abc import Generator, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from llm_backend.domain.responses.event_log import EventLog
from llm_backend.domain.responses.turns import Portion, behind, joined
from llm_backend.errors import Unavailable
from llm_backend.storage.driver import Rows, Step, Values
from llm_backend.storage.response_events import Events
from llm_backend.storage.state_writes import StateWrites

BEHIND_EVENTS = 64
"""How many events what is kept may be behind its client; for how long, a turn says."""

AGAIN_SECONDS = 1.0
"""After what the database did not take, it is asked again."""

KEPT = timedelta(days=1)
"""For how long events are kept, once there is one."""

MOST_BYTES = 16 * 1024 * 1024
"""Of the events of one response. Of one that has more, no event is kept."""

log = structlog.get_logger("llm_backend.responses")


class Recorder:
    """Keeps one response's events, behind its client. What is not yet kept at its end is kept with its settlement."""

    def __init__(
        self, log: EventLog, public_id: str, account_id: int, opened: Mapping[str, Any], now: datetime
    ) -> None:
        """`opened`: the columns of its row, while it is being made."""
        self.public_id = public_id
        self.number: int | None = None
        """Its row's; None as long as there is none."""
        self.events_until: datetime | None = now + KEPT
        """None where there are too many to be kept."""
        self.is_lost = False
        """Whether another process has ended it: nothing more is written of it."""
        self._log = log
        self._account_id = account_id
        self._opened = opened
        self._groups: list[Events] = []
        """What is not yet known to be kept."""
        self._bytes = 0
        self._end = 0
        self._is_to_open = False
        """Whether there is to be a row, whatever comes."""
        self._is_unsure = False
        """Whether the database may have taken what it did not confirm."""
        self._is_to_clear = False
        """Whether events are kept of which none is to be."""
        self._turn: asyncio.Task[None] | None = None
        """What writes some of it."""
        self._retry: asyncio.TimerHandle | None = None
        self._is_over = False
        self._settled = asyncio.Event()
        self._ending: tuple[Events, ...] = ()

    def add(self, frames: bytes, end: int) -> None:
        """More events; `end`: the number behind the last of them."""
        if self.events_until is None:
            return
        self._bytes += len(frames)
        if self._bytes > MOST_BYTES:
            self._give_up()
            return
        self._groups.append(Events(self._end, end - 1, frames))
        self._end = end
        self._want_turn(at_once=end - self._groups[0].first >= BEHIND_EVENTS)

    async def open(self) -> None:
        """Have a row before there is any event, where the database takes it: who knows its id may ask for it."""
        if self.number is None:
            self._is_to_open = True
            await self._log.turns.open(self)
            await self._turn_over()

    async def announce(self) -> None:
        """The same where others have the database too. What this process makes it knows by itself: see `flush`."""
        if not self._log.database.is_sqlite:
            await self.open()

    async def flush(self) -> None:
        """Keep what came so far, where the database takes it; of what is over, all of it."""
        await self._turn_over()
        self._log.turns.begin((self,))
        await self._turn_over()
        if self._is_over and self.number is None:
            # Its settlement is on its way, and makes the row.
            await self._settled.wait()

    async def stop(self) -> None:
        """Keep nothing more by itself: what is not yet kept is left to `kept`."""
        self._is_over = True
        self._stop_retry()
        await self._turn_over()

    def end(self, frames: bytes, end: int) -> None:
        """The last events, in place of those that were to be the last before: left to `kept` as well."""
        self._ending = (Events(self._end, end - 1, frames),)

    def close(self) -> None:
        """It is settled, as far as it can be: whoever waits for it is told, elsewhere if it was there before."""
        if not self._settled.is_set():
            self._settled.set()
            self._log.wake(self.public_id, elsewhere=self.number is not None)

    def is_ours(self, writes: StateWrites) -> Generator[Step, Rows, bool]:
        """Whether this process may write of it still, which then nobody else does before the transaction's end.

        Not where it was deleted, nor where another process believed this one dead and ended it.
        """
        if self.number is None and self._is_unsure:
            found = yield writes.number(self._account_id, self.public_id)
            self.number = int(found[0][0]) if found else None
        if self.number is None:
            return True
        if not (yield writes.held(self._account_id, self.public_id, self._log.owner)):
            self.is_lost = bool((yield writes.number(self._account_id, self.public_id)))
            return False
        if self._is_unsure:
            [(last,)] = yield writes.last_event(self._own(self.number))
            self._groups = [*behind(self._groups, last)]
        return True

    def kept(self, writes: StateWrites, number: int) -> Generator[Step, Rows, None]:
        """What is left, as steps of the transaction that settles the response of that number."""
        if self.events_until is None:
            yield writes.no_events(self._own(number))
            return
        left = [*self._groups, *self._ending]
        if left:
            yield writes.events(self._own(number) | joined(left)._asdict())

    # What a `Writer` of `turns` has to have.

    def portion(self) -> Portion | None:
        # Once it is over, what is left is the settlement's, whoever asks for it meanwhile: nothing is written twice.
        if self._turn is not None or self._is_over or not self._has_something:
            return None
        return Portion(
            public_id=self.public_id,
            account_id=self._account_id,
            number=self.number,
            opened={**self._opened, "events_until": self.events_until},
            groups=tuple(self._groups),
            is_unsure=self._is_unsure,
            is_to_clear=self._is_to_clear,
        )

    def join(self, turn: asyncio.Task[None]) -> None:
        self._turn = turn

    def confirm(self, portion: Portion, number: int | None) -> None:
        self._turn, self._is_unsure = None, self._is_unsure and number is None
        if portion.is_to_clear:
            self._is_to_clear = False
        if number is None:
            self._forget()
        else:
            was_known, self.number = self.number is not None, number
            del self._groups[: len(portion.groups)]
            self._log.wake(self.public_id, elsewhere=was_known)
        if self._has_something:
            self._want_turn()

    def doubt(self, error: Exception) -> None:
        self._turn = None
        if not self._is_unsure:
            unexpected = None if isinstance(error, Unavailable) else error
            log.warning("events_unwritten", response_id=self.public_id, exc_info=unexpected)
        self._is_unsure = True
        self._want_turn()

    @property
    def _has_something(self) -> bool:
        is_to_open = self._is_to_open and self.number is None and self.events_until is not None
        return bool(self._groups) or self._is_to_clear or is_to_open

    def _want_turn(self, *, at_once: bool = False) -> None:
        if self._is_over:
            return
        if not self._is_unsure:
            self._log.turns.want(self, at_once=at_once)
        elif self._retry is None:
            # By itself, and as often as it takes: what is refused once more is to break nobody's turn.
            self._retry = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._log.turns.begin((self,))

    def _stop_retry(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _give_up(self) -> None:
        log.warning("events_not_kept", response_id=self.public_id, bytes=self._bytes)
        self._forget()
        # What is kept already, or just being written: nobody is to begin with what has no end.
        self._is_to_clear = True
        self._want_turn(at_once=True)

    def _forget(self) -> None:
        self.events_until = None
        self._groups.clear()

    async def _turn_over(self) -> None:
        if self._turn is not None:
            await asyncio.wait((self._turn,))

    def _own(self, number: int) -> Values:
        return {"response_id": number, "account_id": self._account_id}

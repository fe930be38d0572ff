"""The events of a response, kept while it is made: so that whoever lost its stream can read on, here or elsewhere."""

import asyncio
from collections.abc import Generator, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.responses.arrivals import Arrivals, within
from llm_backend.domain.responses.turns import Turns
from llm_backend.errors import Unavailable
from llm_backend.storage import response_events, responses
from llm_backend.storage.database import Database
from llm_backend.storage.driver import Rows, Step, Values, run
from llm_backend.storage.notices import Notices
from llm_backend.storage.response_events import Events
from llm_backend.storage.state_writes import StateWrites, state_writes

BEHIND_EVENTS = 64
"""How many events what is kept may be behind its client; for how long, a turn says."""

AGAIN_SECONDS = 1.0
"""After what the database did not take, it is asked again."""

KEPT = timedelta(days=1)
"""For how long events are kept, once there is one."""

LOOK_SECONDS = 0.25
"""How often is looked for what another process has kept, of which nobody may have told."""

MOST_BYTES = 16 * 1024 * 1024
"""Of the events of one response. Of one that has more, no event is kept."""

log = structlog.get_logger("llm_backend.responses")


class Log:
    """Where the events of all responses of a process are kept."""

    def __init__(self, database: Database, owner: str, look_seconds: float = LOOK_SECONDS) -> None:
        """`owner`: what this process is known by; `look_seconds`: how often who waits looks, told of more or not."""
        self.database = database
        self.owner = owner
        self.look_seconds = look_seconds
        self.turns = Turns(database, owner)
        """What is to be kept of all of them waits for these."""
        self.is_closed = False
        """Whether nobody reads here any more."""
        self.arrivals = Arrivals()
        """Who waits here for more of them."""
        self._notices: Notices | None = None
        if not database.is_sqlite:
            self._notices = Notices(database, owner, self.arrivals.wake, self.arrivals.wake_all)

    async def more(self, arrival: asyncio.Event, owner: str | None) -> None:
        """Returns when `arrival`, of a response that `owner` makes, is there, or when it is time to look again."""
        if self._notices is not None and owner != self.owner:
            self._notices.listen()
        await within(arrival, self.look_seconds)

    def wake(self, public_id: str, *, elsewhere: bool = True) -> None:
        """Tell whoever waits that there is more. `elsewhere`: of what others may have known before."""
        self.arrivals.wake(public_id)
        if self._notices is not None and elsewhere:
            self._notices.tell(public_id)

    def close(self) -> None:
        """Have whoever reads read elsewhere."""
        self.is_closed = True
        self.arrivals.wake_all()

    async def disconnect(self) -> None:
        """Hear no more of other processes."""
        if self._notices is not None:
            await self._notices.close()


class Recorder:
    """Keeps one response's events, behind its client. What is not yet kept at its end is kept with its settlement."""

    def __init__(self, log: Log, public_id: str, account_id: int, opened: Mapping[str, Any], now: datetime) -> None:
        """`opened`: the columns of its row, while it is being made."""
        self.public_id = public_id
        self.number: int | None = None
        """Its row's; None as long as there is none."""
        self.events_until: datetime | None = now + KEPT
        """None where there are too many to be kept."""
        self.is_lost = False
        """Whether another process has ended it: nothing more is written of it."""
        self._log = log
        self._writes = state_writes(is_sqlite=log.database.is_sqlite)
        self._account_id = account_id
        self._opened = opened
        self._groups: list[Events] = []
        """What is not yet known to be kept."""
        self._bytes = 0
        self._end = 0
        self._is_unsure = False
        """Whether the database may have taken what it did not confirm."""
        self._is_to_clear = False
        """Whether events are kept of which none is to be."""
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._count = 0
        """How many of them are being written."""
        self._is_over = False
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
        self._write_later(at_once=end - self._groups[0].first >= BEHIND_EVENTS)

    async def flush(self) -> None:
        """Keep what came so far, where the database takes it."""
        await self._written()
        self._write()
        await self._written()

    async def open(self) -> None:
        """Have a row before there is any event, where the database takes it: who knows its id may ask for it."""
        await self._written()
        if self.number is None and not self._is_over:
            self._writing = self._log.database.begun(self._written_some())
            await self._written()

    async def stop(self) -> None:
        """Keep nothing more by itself: what is not yet kept is left to `kept`."""
        self._is_over = True
        self._stop_timer()
        await self._written()

    def end(self, frames: bytes, end: int) -> None:
        """The last events, in place of those that were to be the last before: left to `kept` as well."""
        self._ending = (Events(self._end, end - 1, frames),)

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
            self._groups = [group for group in self._groups if last is None or group.last > last]
        return True

    def kept(self, writes: StateWrites, number: int) -> Generator[Step, Rows, None]:
        """What is left, as steps of the transaction that settles the response of that number."""
        if self.events_until is None:
            yield writes.no_events(self._own(number))
            return
        left = [*self._groups, *self._ending]
        if left:
            yield writes.events(self._own(number) | _joined(left)._asdict())

    def wake(self) -> None:
        """Tell whoever reads it that it has ended: elsewhere, if it was there before."""
        self._log.wake(self.public_id, elsewhere=self.number is not None)

    def _give_up(self) -> None:
        log.warning("events_not_kept", response_id=self.public_id, bytes=self._bytes)
        self._forget()
        # What is kept already, or just being written: nobody is to begin with what has no end.
        self._is_to_clear = True
        self._write()

    def _forget(self) -> None:
        self.events_until = None
        self._groups.clear()
        self._stop_timer()

    def _write(self) -> None:
        self._stop_timer()
        # Once it is over, what is left is the settlement's, whoever asks for it meanwhile: nothing is written twice.
        if self._writing is None and (self._groups or self._is_to_clear) and not self._is_over:
            self._writing = self._log.database.begun(self._written_some())

    def _write_later(self, *, at_once: bool = False) -> None:
        if self._is_over:
            return
        if self._is_sure:
            self._log.turns.want(self, at_once=at_once)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._write)

    @property
    def has_turn(self) -> bool:
        return self._is_sure and self._writing is None and bool(self._groups) and not self._is_over

    @property
    def _is_sure(self) -> bool:
        return not self._is_unsure and not self._is_to_clear

    def begun(self) -> Values:
        return {**self._opened, "events_until": self.events_until}

    def events(self, number: int) -> Values:
        # At once: a plan may run in the driver's thread, and more may come meanwhile.
        groups = self._groups.copy()
        self._count = len(groups)
        return self._own(number) | _joined(groups)._asdict()

    def wait_for(self, turn: asyncio.Task[None]) -> None:
        self._writing = turn

    def note(self, number: int | None, error: Exception | None = None) -> None:
        self._writing = None
        if error is not None:
            self._doubt("events_unwritten", None if isinstance(error, Unavailable) else error)
        elif number is None:
            self._forget()
        else:
            was_known, self.number = self.number is not None, number
            del self._groups[: self._count]
            self._log.wake(self.public_id, elsewhere=was_known)
        if self._groups or self._is_to_clear:
            self._write_later()

    async def _written_some(self) -> None:
        try:
            await self._write_some()
        except Unavailable:
            self._doubt("events_unwritten")
        except Exception as error:  # noqa: BLE001 (the log has it)
            # The next ones take these along, as the settlement does.
            self._doubt("events_refused", error)
        finally:
            self._writing = None
            if self._groups or self._is_to_clear:
                self._write_later()

    async def _write_some(self) -> None:
        is_clearing, count = self._is_to_clear, 0
        async with self._log.database.begin() as session:
            is_ours = await run(session, self.is_ours(self._writes))
            number = self.number
            if is_ours and is_clearing:
                await self._clear(session, number)
            elif is_ours:
                count, some = len(self._groups), _joined(self._groups) if self._groups else None
                if number is None:
                    number = await responses.add(session, self._as_begun())
                if some:
                    await response_events.add(session, self._account_id, number, some)
        was_known, self.number, self._is_unsure = self.number is not None, number, False
        if is_clearing:
            self._is_to_clear = False
        if not is_ours:
            self._forget()
        del self._groups[:count]
        self._log.wake(self.public_id, elsewhere=was_known)

    async def _clear(self, session: AsyncSession, number: int | None) -> None:
        if number is not None:
            await responses.change(session, self._account_id, self.public_id, {"events_until": None})
            await response_events.remove(session, self._account_id, number)

    def _own(self, number: int) -> dict[str, Any]:
        return {"response_id": number, "account_id": self._account_id}

    def _as_begun(self) -> dict[str, Any]:
        lease = {"owner": self._log.owner, "lease_until": responses.leased()}
        return {**self._opened, **lease, "events_until": self.events_until}

    def _doubt(self, event: str, error: Exception | None = None) -> None:
        if not self._is_unsure:
            log.warning(event, response_id=self.public_id, exc_info=error)
        self._is_unsure = True

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.wait((self._writing,))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _joined(groups: list[Events]) -> Events:
    return Events(groups[0].first, groups[-1].last, b"".join(group.frames for group in groups))

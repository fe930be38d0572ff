"""Bugs as they are made elsewhere, each planted in one place, and the quick test that is to notice it.

What notices a bug is a test of this suite, run as it is, or the checker of the books.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import bindparam, true, update

from llm_backend.domain import transaction
from llm_backend.domain.backlog import Backlog
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.entries import Entry, Outcome
from llm_backend.domain.ledger import Ledger
from llm_backend.domain.sheet import Sheet
from llm_backend.domain.streams import StreamedAnswer
from llm_backend.domain.transaction import Transaction
from llm_backend.errors import LLMBackendError
from llm_backend.storage import conversations, invariants
from llm_backend.storage.database import Database
from llm_backend.storage.driver import Hot, Rows, Step, run
from llm_backend.storage.ledger import Statements
from llm_backend.storage.ledger_rows import Sums
from llm_backend.storage.ledger_writes import SUMS
from llm_backend.storage.tables import conversation, reservation
from llm_backend.storage.usage import UsageRecord
from llm_backend.streaming.sse import Event, is_done
from llm_backend.upstream.wire import Reply
from tests.domain import test_leases, test_ledger
from tests.domain.booked import TERMS, Books

Plant = Callable[[pytest.MonkeyPatch], None]
Seen = Callable[[Database], Awaitable[None]]


@dataclass(frozen=True)
class Bug:
    """One that is made in the books."""

    name: str
    plant: Plant
    seen_by: Seen

    def __str__(self) -> str:
        return self.name


async def complaint(seen: Awaitable[None], database: Database) -> str | None:
    """What is said against what was done: by the test that did it, by a rule of the database, or by the checker.

    Whatever else goes wrong is a fault of the proof, and raised.
    """
    try:
        await seen
    except (AssertionError, pytest.fail.Exception, sqlite3.IntegrityError) as error:
        return repr(error)
    async with database.reading() as session:
        found = await invariants.violations(session)
    return str(found[0]) if found else None


async def two_processes_want_the_last_tokens(database: Database) -> None:
    """At the same moment; what came of it, the checker tells."""
    books = await Books.of(database, token_limit=10)
    another = Ledger(database, replace(TERMS, owner="another process"))
    wanted = books.ledger.reserve(books.asks(10)), another.reserve(books.asks(10))
    await asyncio.gather(*wanted, return_exceptions=True)


def drops_the_claim(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks whether a reservation was settled before."""
    patch.setattr(transaction, "_is_open", lambda _row: True)


def checks_then_acts(patch: pytest.MonkeyPatch) -> None:
    """What is left is read in one transaction, and taken in the next."""
    both_have_looked = asyncio.Barrier(2)

    async def together(self: Ledger, entries: Sequence[Entry]) -> list[Outcome]:
        plan = Transaction(self._statements, self.terms, entries).plan()
        async with self._database.begin() as session:
            step = await run(session, _looking(plan))
        await both_have_looked.wait()
        async with self._database.begin() as session:
            return await run(session, _acting(plan, step))

    patch.setattr(Ledger, "_together", together)


def decides_as_if_alone(patch: pytest.MonkeyPatch) -> None:
    """Those who are entered together are each measured against the sums before all of them."""
    ceilings = Sheet.ceilings

    def before(self: Sheet, *of: Any) -> list[Sums] | None:
        found = ceilings(self, *of)
        return found and [replace(sums, **dict(zip(SUMS, self._before[sums.id], strict=False))) for sums in found]

    patch.setattr(Sheet, "ceilings", before)


def settles_twice(patch: pytest.MonkeyPatch) -> None:
    """A settlement that comes again is charged again."""

    def again(record: UsageRecord, known: Sequence[Any]) -> UsageRecord | None:
        is_known = any(row.kind == "adjustment" for row in known)
        return None if is_known else record._replace(kind="adjustment")

    patch.setattr(transaction, "_adjustment", again)


def renews_no_lease(patch: pytest.MonkeyPatch) -> None:
    """A process that is alive does not say so."""

    async def beat(_self: Ledger, _held: object, _seen: object) -> set[str]:
        return set()

    patch.setattr(Ledger, "beat", beat)


def leases_by_its_own_clock(patch: pytest.MonkeyPatch) -> None:
    """The process's clock, which is an hour behind, says how long a lease lasts."""
    behind = SystemClock().now() - timedelta(hours=1)
    until = bindparam("until", type_=reservation.c.lease_until.type)
    renewed = update(reservation).values(lease_until=until)

    def beat(self: Statements, _attempts: object, lease_seconds: int) -> Step:
        return Hot(renewed, is_sqlite=self._is_sqlite), {"until": behind + timedelta(seconds=lease_seconds)}

    patch.setattr(Statements, "beat", beat)


def clamps_negatives(patch: pytest.MonkeyPatch) -> None:
    """What was charged too much is never given back."""
    use = Sheet.use

    def clamped(self: Sheet, period_id: int, tokens: int, microusd: int) -> None:
        use(self, period_id, max(0, tokens), max(0, microusd))

    patch.setattr(Sheet, "use", clamped)


def keeps_what_was_reserved(patch: pytest.MonkeyPatch) -> None:
    """A reservation ends, and what it held back is held back for ever."""

    def let_go(self: Transaction, row: Any, _periods: Sequence[int], state: str) -> None:
        self.writes.closed.append({"attempt": row.attempt_id, "to": state})

    patch.setattr(Transaction, "_let_go", let_go)


def forgets_the_day(patch: pytest.MonkeyPatch) -> None:
    """A charge is not added to its day, which reports are made of."""
    patch.setattr(Sheet, "count", lambda _self, _record: None)


def trusts_whom_it_knew(patch: pytest.MonkeyPatch) -> None:
    """Whoever was let in a moment ago is served, whatever became of the account meanwhile."""

    def look(self: Transaction) -> Generator[Step, Rows, None]:
        self._good = {(entry.account_id, entry.key_id) for entry in self._reserves}
        yield from ()

    patch.setattr(Transaction, "_look_at_callers", look)


IN_THE_BOOKS = [
    Bug("drops the claim", drops_the_claim, test_ledger.test_a_reservation_that_is_voided_leaves_nothing),
    Bug("checks, then acts", checks_then_acts, two_processes_want_the_last_tokens),
    Bug(
        "decides as if alone",
        decides_as_if_alone,
        test_ledger.test_of_two_hundred_that_race_for_the_last_hundred_tokens_as_many_get_some_as_fit,
    ),
    Bug("settles twice", settles_twice, test_ledger.test_settled_twice_is_charged_once),
    Bug("renews no lease", renews_no_lease, test_leases.test_who_is_alive_keeps_what_it_runs),
    Bug("leases by its own clock", leases_by_its_own_clock, test_leases.test_who_is_alive_keeps_what_it_runs),
    Bug(
        "clamps negatives",
        clamps_negatives,
        test_leases.test_the_truth_that_comes_after_the_sweep_is_charged_in_the_end,
    ),
    Bug(
        "keeps what was reserved",
        keeps_what_was_reserved,
        test_ledger.test_what_is_reserved_is_held_back_until_it_is_settled_at_what_was_used,
    ),
    Bug("forgets the day", forgets_the_day, test_ledger.test_more_than_was_reserved_is_charged_and_flagged),
    Bug("trusts whom it knew", trusts_whom_it_knew, test_ledger.test_the_account_of_a_closed_door_reserves_nothing),
]


def forgets_the_account(patch: pytest.MonkeyPatch) -> None:
    """One query asks for a chat by its number only."""
    patch.setattr(conversations, "_own", lambda _account_id, number: (true(), conversation.c.id == number))


def loses_the_journal(patch: pytest.MonkeyPatch) -> None:
    """What the database did not take is let go."""

    async def keep(_self: Backlog, _entry: Entry) -> None:
        return

    patch.setattr(Backlog, "keep", keep)


def ends_whatever_ends_with_done(patch: pytest.MonkeyPatch) -> None:
    """A stream that broke off is told as one that is complete."""
    end = StreamedAnswer._end

    def done(self: StreamedAnswer, error: LLMBackendError | None) -> None:
        end(self, None if self._begun.done() else error)

    patch.setattr(StreamedAnswer, "_end", done)


def counts_what_was_delivered(patch: pytest.MonkeyPatch) -> None:
    """What comes when the client has gone is not looked at."""
    pass_on = StreamedAnswer._pass_on

    async def delivered(self: StreamedAnswer, events: Iterable[Event], reply: Reply) -> bool:
        if self.is_abandoned:
            return any(is_done(event) for event in events)
        return await pass_on(self, events, reply)

    patch.setattr(StreamedAnswer, "_pass_on", delivered)


def _looking(plan: Any) -> Generator[Step, Rows, Step]:
    """The steps of a plan up to the first that writes, which is returned."""
    step: Step = next(plan)
    while step[0].text.startswith("SELECT"):
        step = plan.send((yield step))
    return step


def _acting(plan: Any, step: Step) -> Generator[Step, Rows, Any]:
    """The steps of a plan from that one."""
    try:
        while True:
            step = plan.send((yield step))
    except StopIteration as end:
        return end.value

"""The ledger: what waits at the same moment is committed together, and each gets an answer of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import budgets, end_users
from llm_backend.domain.entries import Done, Entry, Granted, Outcome, PeriodMissing, Reserve, Settle, account_of
from llm_backend.domain.memory import Memory
from llm_backend.domain.sheet import Terms
from llm_backend.domain.transaction import Transaction
from llm_backend.errors import DatabaseUnavailable, Unauthenticated, Unavailable
from llm_backend.storage import accounts, faults, idempotency, moments, reservations
from llm_backend.storage import budgets as stored
from llm_backend.storage.database import Database
from llm_backend.storage.driver import Plan, run
from llm_backend.storage.ledger import read, statements
from llm_backend.storage.ledger_rows import Abandoned

MOST_TOGETHER = 200
"""Entries of one transaction: more would make the first of them wait for the last."""

FEW = 32
"""Entries that are entered in a few milliseconds at most."""

OPENING_TRIES = 3

log = structlog.get_logger("llm_backend.ledger")


class Ledger:
    """Enters what is reserved and settled. The first to come commits at once; who comes meanwhile is next.

    Nobody who waits here may be cancelled: what was committed has to be known.
    """

    def __init__(self, database: Database, terms: Terms, notify: Callable[[], None] = lambda: None) -> None:
        """`notify` is called when there is something to be told to a webhook."""
        self.terms = terms
        self._notify = notify
        self._database = database
        self._statements = statements(is_sqlite=database.is_sqlite)
        # SQLite has nothing to be asked over a distance.
        self._memory = None if database.is_sqlite else Memory()
        self._waiting: list[tuple[Entry, asyncio.Future[Outcome]]] = []
        self._is_committing = False

    async def reserve(self, entry: Reserve, *, is_alone: bool = False) -> Granted:
        """Hold back what `entry` asks for. `is_alone`: nobody else would be held up by it.

        Raises BudgetExhausted, TooManyEndUsers, Unauthenticated where the key or the account was taken away, and
        Unavailable: then it is not known whether it is held back.
        """
        for _ in range(OPENING_TRIES):
            outcome = await self._entered(entry, is_alone=is_alone)
            if isinstance(outcome, Granted):
                return outcome
            if not isinstance(outcome, PeriodMissing):
                raise _error(outcome)
            await self._open_periods(entry)
        raise DatabaseUnavailable

    async def enter(self, entry: Entry, *, is_alone: bool = False) -> Done:
        """Settle or void; again changes nothing. `is_alone` as of `reserve`.

        Raises Unavailable: then it is not known whether it is done.
        """
        outcome = await self._entered(entry, is_alone=is_alone)
        if isinstance(outcome, Done):
            return outcome
        raise _error(outcome)

    async def beat(self, held: Collection[str], seen: Mapping[str, int]) -> set[str]:
        """Keep alive the attempts `held`, with the tokens `seen` of each; which of them are no longer allowed.

        Raises Unavailable.
        """
        return await self._database.write(self._beat(held, seen))

    async def sweep(self, settled: Callable[[Abandoned], Entry], *, others: bool = False) -> int:
        """Settle, as `settled` says, what processes that are believed dead have left; how many that were.

        `others`: everything that is not this process's own, for a database that nobody else has open. Raises
        Unavailable.
        """
        total = 0
        while found := await self._swept(settled, others=others):
            total += found
        return total

    async def prune(self) -> None:
        """Forget reservations settled long ago, and results that are promised no longer. Raises Unavailable."""
        # Some at a time, so that nobody waits for long.
        while await self._forgotten(idempotency.purge):
            pass
        while await self._forgotten(reservations.prune):
            pass

    async def _forgotten(self, some: Callable[[AsyncSession], Awaitable[int]]) -> int:
        async with self._database.begin() as session:
            return await some(session)

    async def _swept(self, settled: Callable[[Abandoned], Entry], *, others: bool) -> int:
        return await self._database.write(self._sweeping(settled, others=others))

    def _sweeping(self, settled: Callable[[Abandoned], Entry], *, others: bool) -> Plan[int]:
        step = self._statements.left_behind(self.terms.owner) if others else self._statements.abandoned()
        left = read(Abandoned, (yield step))
        if left:
            yield from Transaction(self._statements, self.terms, [settled(each) for each in left]).plan()
        return len(left)

    def _beat(self, held: Collection[str], seen: Mapping[str, int]) -> Plan[set[str]]:
        yield self._statements.beat(held, self.terms.lease_seconds)
        moved = [{"attempt": attempt, "completion": tokens} for attempt, tokens in seen.items() if tokens]
        if moved:
            yield self._statements.observe(moved)
        rows = yield self._statements.refused(self.terms.owner)
        return {row[0] for row in rows}

    async def _entered(self, entry: Entry, *, is_alone: bool) -> Outcome:
        if is_alone and not self._is_committing and (outcome := self._at_once(entry)) is not None:
            return outcome
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, future))
        if not self._is_committing:
            self._is_committing = True
            if is_alone:
                # In a task of its own it would wait for a turn of the loop before, and for another behind.
                await self._commit_once()
            else:
                self._database.start(self._commit())
        return await future

    def _at_once(self, entry: Entry) -> Outcome | None:
        """What comes of an entry that nobody else waits beside; None where it has to be waited for."""
        if self._memory is not None or _has_more(entry):
            return None
        transaction = Transaction(self._statements, self.terms, [entry])
        try:
            outcomes = self._database.write_at_once(_all_of(transaction, [entry]))
        except Unavailable as error:
            return error
        except Exception as error:
            log.exception("entry_refused")
            return error
        if outcomes is None:
            return None
        if transaction.has_events:
            self._notify()
        return outcomes[0]

    async def _commit(self) -> None:
        try:
            while self._waiting:
                await self._commit_batch()
                # Others who wait to write have their turn, and who was just answered may come again.
                await asyncio.sleep(0)
        finally:
            self._is_committing = False

    async def _commit_once(self) -> None:
        """Commit what waits now; who comes meanwhile has a task of his own."""
        try:
            await self._commit_batch()
        finally:
            self._is_committing = bool(self._waiting)
            if self._waiting:
                self._database.start(self._commit())

    async def _commit_batch(self) -> None:
        batch, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        outcomes = await self._outcomes([entry for entry, _ in batch])
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)

    async def _outcomes(self, entries: Sequence[Entry]) -> list[Outcome]:
        """What comes of each; where one of them breaks the transaction, each is entered alone."""
        try:
            return await self._together(entries)
        except Unavailable as error:
            accounts_of = [account_of(entry) for entry in entries]
            if not faults.is_contention(error) or len(set(accounts_of)) == 1:
                return [error] * len(entries)
            return await self._account_by_account(entries, accounts_of)
        except Exception as error:
            if len(entries) == 1:
                log.exception("entry_refused")
                return [error]
        return [(await self._outcomes([entry]))[0] for entry in entries]

    async def _account_by_account(self, entries: Sequence[Entry], accounts_of: Sequence[int]) -> list[Outcome]:
        """What comes of each, where someone holds what one account's entries need: the others do not wait for it."""
        outcomes: dict[int, list[Outcome]] = {}
        for account_id in dict.fromkeys(accounts_of):
            own = [entry for entry, of in zip(entries, accounts_of, strict=True) if of == account_id]
            outcomes[account_id] = await self._outcomes(own)
        return [outcomes[of].pop(0) for of in accounts_of]

    async def _together(self, entries: Sequence[Entry]) -> list[Outcome]:
        has_more = any(map(_has_more, entries))
        if not (has_more or any(map(_plan_of, entries))) and (forecast := await self._forecast(entries)):
            return forecast
        transaction = Transaction(self._statements, self.terms, entries)
        if has_more:
            outcomes = await self._with_more(entries, transaction)
        else:
            outcomes = await self._database.write(_all_of(transaction, entries), is_brief=len(entries) <= FEW)
        if transaction.has_events:
            self._notify()
        if self._memory is not None:
            self._memory.keep(transaction.sums, transaction.writes)
        return outcomes

    async def _forecast(self, entries: Sequence[Entry]) -> list[Outcome] | None:
        """What comes of each, decided on what this process remembers; None where that does not do."""
        if self._memory is None or (known := self._memory.take(entries)) is None:
            return None
        transaction = Transaction(self._statements, self.terms, entries)
        outcomes = await self._database.write_one(transaction.forecast(known))
        if outcomes is not None:
            self._memory.keep(transaction.sums, transaction.writes)
        return outcomes

    async def _with_more(self, entries: Sequence[Entry], transaction: Transaction) -> list[Outcome]:
        """What comes of each, in the transaction in which some of them write what is kept beside the books."""
        async with self._database.begin() as session:
            outcomes = await run(session, _all_of(transaction, entries))
            for entry, outcome in zip(entries, outcomes, strict=True):
                if isinstance(entry, Settle) and entry.beside.also is not None and _is_new(outcome):
                    await entry.beside.also(session)
        return outcomes

    async def _open_periods(self, entry: Reserve) -> None:
        """Begin the periods of an account's budgets that are now: once a period, by whoever comes first.

        Of its end users, that of the one that `entry` is for. Raises TooManyEndUsers.
        """
        async with self._database.begin() as session:
            account = await accounts.lock(session, entry.account_id)
            if account is None:
                raise Unauthenticated
            now = await moments.now(session)
            for budget in await stored.of_account(session, account.id):
                await budgets.open_current(session, account.time_zone, budget, now)
            if entry.end_user is not None:
                await end_users.open_current(session, account, entry.end_user, now)


def _has_more(entry: Entry) -> bool:
    """Whether something is kept beside the books with it that needs a session."""
    return isinstance(entry, Settle) and entry.beside.also is not None


def _plan_of(entry: Entry) -> Callable[[], Plan[None]] | None:
    return entry.beside.plan if isinstance(entry, Settle) else None


def _all_of(transaction: Transaction, entries: Sequence[Entry]) -> Plan[list[Outcome]]:
    """The transaction, and what is kept beside the books of what was not settled before."""
    outcomes = yield from transaction.plan()
    for entry, outcome in zip(entries, outcomes, strict=True):
        plan = _plan_of(entry)
        if plan is not None and _is_new(outcome):
            yield from plan()
    return outcomes


def _is_new(outcome: Outcome) -> bool:
    return isinstance(outcome, Done) and outcome.balance is not None


def _error(outcome: Outcome) -> Exception:
    return outcome if isinstance(outcome, Exception) else AssertionError("An entry has the outcome of another kind.")

"""The ledger's hot statements: what reserves, settles and keeps alive, compiled once for each database."""

from collections.abc import Collection, Generator, Iterable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Table,
    Text,
    and_,
    bindparam,
    exists,
    false,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from llm_backend.storage import lists
from llm_backend.storage.driver import Hot, Rows, Step, Values
from llm_backend.storage.ledger_forecasts import Expected, Forecasts, is_good
from llm_backend.storage.ledger_rows import Abandoned, Charged, Reserved
from llm_backend.storage.ledger_sums import LockedSums, is_current
from llm_backend.storage.ledger_tables import IS_OPEN
from llm_backend.storage.ledger_writes import (
    EVENT,
    Together,
    Writes,
    added_to_days,
    begun_event,
    begun_reservation,
    moved,
)
from llm_backend.storage.moments import db_now
from llm_backend.storage.sought import Sought
from llm_backend.storage.tables import (
    account,
    api_key,
    budget,
    budget_period,
    reservation,
    usage_day,
    usage_record,
    webhook_event,
)


class Statements:
    """The statements of one database. Each method gives a step of a plan; `read_…` turn its rows into tuples."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        self._sums = LockedSums(is_sqlite=is_sqlite)
        self._end_users = self._hot(self._select_end_users())
        self._keys = Sought(api_key.c.public_id, Text, _select_keys, is_sqlite=is_sqlite)
        self._accounts = Sought(account.c.id, Integer, _select_accounts, is_sqlite=is_sqlite)
        self._reserved = Sought(reservation.c.attempt_id, Text, _select_reserved, is_sqlite=is_sqlite)
        of_these = self._within(reservation.c.attempt_id, "attempts", Text)
        charged = self._within(usage_record.c.attempt_id, "attempts", Text)
        self._charged = self._hot(select(*_named(usage_record, Charged)).where(charged))
        self._together = None if is_sqlite else Together()
        self._forecasts = None if is_sqlite else Forecasts()
        self._write = self._alone() if is_sqlite else {}
        self._beat = self._hot(_renew_leases(of_these))
        self._observe = self._hot(_observe())
        self._refused = self._hot(_select_refused())
        self._abandoned = self._hot(self._select_abandoned())
        self._left_behind = self._hot(self._select_left_behind())

    def sums(self, accounts: Collection[int], periods: Collection[int]) -> Step:
        """Lock the current periods of all budgets of `accounts`, and `periods`, in one order for everyone.

        Of end users, of whom there may be very many, only those in `periods`.
        """
        return self._sums.step(accounts, periods)

    def end_users(self, accounts: Iterable[int], subjects: Iterable[str]) -> Step:
        """The budgets of end users, with their current periods, which are not locked by this."""
        return self._end_users, {"accounts": self._list(accounts), "subjects": self._list(subjects)}

    def keys(self, keys: Iterable[str]) -> Step:
        """Whether keys are good: read after the sums are locked, which whoever revokes one locks as well."""
        return self._keys.step(keys)

    def accounts(self, accounts: Iterable[int]) -> Step:
        return self._accounts.step(accounts)

    def reserved(self, attempts: Iterable[str]) -> Step:
        """Lock reservations."""
        return self._reserved.step(attempts)

    def charged(self, attempts: Iterable[str]) -> Step:
        return self._charged, {"attempts": self._list(attempts)}

    def write(self, writes: Writes) -> Generator[Step, Rows, None]:
        """Enter everything; nothing where there is nothing."""
        if self._together is not None:
            if writes.parts:
                yield self._together.step(writes)
            return
        for part, hot in self._write.items():
            if rows := getattr(writes, part):
                yield hot, rows

    def write_if(self, expected: Expected, writes: Writes) -> Step:
        """As `write`, on a server, where everything is as expected; see `Forecasts.step`."""
        assert self._forecasts is not None
        return self._forecasts.step(expected, writes)

    def beat(self, attempts: Iterable[str], lease_seconds: int) -> Step:
        """Renew leases, of what is still open."""
        return self._beat, {"attempts": self._list(attempts), "lease": lease_seconds}

    def observe(self, rows: list[Values]) -> Step:
        """Keep what was seen of answers so far (`attempt`, `completion`)."""
        return self._observe, rows

    def refused(self, owner: str) -> Step:
        """The attempts of `owner` whose key or account is refused by now."""
        return self._refused, {"by": owner}

    def abandoned(self) -> Step:
        """Lock some open reservations whose lease is over, past those that someone else settles."""
        return self._abandoned, {}

    def left_behind(self, owner: str) -> Step:
        """As `abandoned`, of everyone but `owner`: for a database that only one process has open."""
        return self._left_behind, {"by": owner}

    def _alone(self) -> dict[str, Hot]:
        """What writes each part of what is written."""
        closed = update(reservation).where(reservation.c.attempt_id == bindparam("attempt"))
        return {
            "reservations": self._hot(insert(reservation).values(**_reservation_values())),
            "closed": self._hot(closed.values(state=bindparam("to"))),
            "records": self._hot(insert(usage_record), [column.name for column in usage_record.c]),
            "days": self._hot(_add_to_day()),
            "events": self._hot(insert(webhook_event).values(**_event_values())),
            "moves": self._hot(_move_sums()),
        }

    def _hot(self, statement: Any, keys: Sequence[str] | None = None) -> Hot:
        return Hot(statement, is_sqlite=self._is_sqlite, keys=keys)

    def _within(self, column: ColumnElement[Any], name: str, of: type[Any]) -> ColumnElement[bool]:
        return lists.within(column, name, of, is_sqlite=self._is_sqlite)

    def _list(self, values: Iterable[Any]) -> Any:
        return lists.written(values, is_sqlite=self._is_sqlite)

    def _select_end_users(self) -> Any:
        current = and_(budget_period.c.budget_id == budget.c.id, is_current())
        found = select(budget.c.account_id, budget.c.subject, budget_period.c.id)
        return found.select_from(budget.outerjoin(budget_period, current)).where(
            self._within(budget.c.account_id, "accounts", Integer), self._within(budget.c.subject, "subjects", Text)
        )

    def _select_abandoned(self) -> Any:
        over = IS_OPEN, reservation.c.lease_until < db_now()
        return _some(select(*_named(reservation, Abandoned)).where(*over))

    def _select_left_behind(self) -> Any:
        others = IS_OPEN, reservation.c.owner != bindparam("by", type_=Text)
        return _some(select(*_named(reservation, Abandoned)).where(*others))


@cache
def statements(*, is_sqlite: bool) -> Statements:
    """The statements of a database, compiled at the first call."""
    return Statements(is_sqlite=is_sqlite)


def read(kind: type[Any], rows: Rows) -> list[Any]:
    """Rows as the tuples that they were selected for."""
    return [kind(*row) for row in rows]


def _named(table: Table, kind: type[Any]) -> list[Any]:
    return [table.c[name] for name in kind._fields]


def _some(query: Any) -> Any:
    most = 100
    # In an order that no index has: else SQLite looks through all attempts there are, and not those that are open.
    in_order = reservation.c.attempt_id.concat(literal_column("''"))
    return query.order_by(in_order).limit(most).with_for_update(skip_locked=True)


def _select_keys(of_these: ColumnElement[bool]) -> Any:
    return select(api_key.c.account_id, api_key.c.public_id, is_good()).join_from(api_key, account).where(of_these)


def _select_accounts(of_these: ColumnElement[bool]) -> Any:
    return select(account.c.id, account.c.active).where(of_these)


def _select_reserved(of_these: ColumnElement[bool]) -> Any:
    found = select(*_named(reservation, Reserved)).where(of_these)
    return found.order_by(reservation.c.attempt_id).with_for_update()


def _reservation_values() -> dict[str, Any]:
    given = {column.name: bindparam(column.name, type_=column.type) for column in reservation.c}
    return given | begun_reservation(bindparam("lease", type_=Integer))


def _add_to_day() -> Any:
    given = {column.name: bindparam(column.name, type_=column.type) for column in usage_day.c}
    return added_to_days(sqlite.insert(usage_day).values(given))


def _event_values() -> dict[str, Any]:
    return {column.name: bindparam(column.name, type_=column.type) for column in EVENT} | begun_event()


def _move_sums() -> Any:
    change = moved(lambda name, kind: bindparam(name, type_=kind))
    return change.where(budget_period.c.id == bindparam("period"))


def _renew_leases(of_these: ColumnElement[bool]) -> Any:
    # Locked in the order in which they are settled: nobody waits crosswise.
    held = select(reservation.c.attempt_id).where(of_these, IS_OPEN).order_by(reservation.c.attempt_id)
    renewed = update(reservation).where(reservation.c.attempt_id.in_(held.with_for_update().correlate(None)))
    return renewed.values(lease_until=db_now(bindparam("lease", type_=Integer)))


def _observe() -> Any:
    open_one = reservation.c.attempt_id == bindparam("attempt"), IS_OPEN
    seen = bindparam("completion", type_=reservation.c.observed_completion_tokens.type)
    return update(reservation).where(*open_one).values(observed_completion_tokens=seen)


def _select_refused() -> Any:
    key = and_(
        api_key.c.public_id == reservation.c.key_id,
        or_(api_key.c.revoked_at.is_not(None), api_key.c.expires_at <= db_now()),
    )
    closed = and_(account.c.id == reservation.c.account_id, account.c.active == false())
    own = reservation.c.owner == bindparam("by", type_=Text), IS_OPEN
    return select(reservation.c.attempt_id).where(*own, or_(exists().where(key), exists().where(closed)))

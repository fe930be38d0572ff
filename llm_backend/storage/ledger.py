"""The ledger's hot statements: what reserves, settles and keeps alive, compiled once for each database."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    and_,
    any_,
    bindparam,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from llm_backend.storage.budgets import END_USER
from llm_backend.storage.driver import Hot, Rows, Step
from llm_backend.storage.ledger_rows import Abandoned, Charged, Reserved, Sums
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.moments import db_now
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

IS_OPEN = text("reservation.state IN ('held', 'dispatched')")
"""Whether a reservation still holds something back: as the partial index has it."""


class Statements:
    """The statements of one database. Each method gives a step of a plan; `read_…` turn its rows into tuples."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        self._lock_sums = self._hot(self._select_sums())
        self._end_users = self._hot(self._select_end_users())
        self._keys = self._hot(_select_keys(self._within(api_key.c.public_id, "keys", Text)))
        self._accounts = self._hot(
            select(account.c.id, account.c.active).where(self._within(account.c.id, "accounts", Integer))
        )
        of_these = self._within(reservation.c.attempt_id, "attempts", Text)
        self._lock_reserved = self._hot(
            select(*_named(reservation, Reserved)).where(of_these).order_by(reservation.c.attempt_id).with_for_update()
        )
        charged = self._within(usage_record.c.attempt_id, "attempts", Text)
        self._charged = self._hot(select(*_named(usage_record, Charged)).where(charged))
        self._reserve = self._hot(insert(reservation).values(**_reservation_values()))
        self._close = self._hot(
            update(reservation).where(reservation.c.attempt_id == bindparam("attempt")).values(state=bindparam("to"))
        )
        self._move = self._hot(_move_sums())
        self._record = self._hot(insert(usage_record), [column.name for column in usage_record.c])
        self._day = self._hot(self._add_to_day())
        self._event = self._hot(insert(webhook_event).values(**_event_values()))
        self._beat = self._hot(_renew_leases(of_these))
        self._observe = self._hot(_observe())
        self._refused = self._hot(_select_refused())
        self._abandoned = self._hot(self._select_abandoned())
        self._left_behind = self._hot(self._select_left_behind())

    def sums(self, accounts: Iterable[int], periods: Iterable[int]) -> Step:
        """Lock the current periods of all budgets of `accounts`, and `periods`, in one order for everyone.

        Of end users, of whom there may be very many, only those in `periods`.
        """
        return self._lock_sums, {"accounts": self._list(accounts), "periods": self._list(periods)}

    def end_users(self, accounts: Iterable[int], subjects: Iterable[str]) -> Step:
        """The budgets of end users, with their current periods, which are not locked by this."""
        return self._end_users, {"accounts": self._list(accounts), "subjects": self._list(subjects)}

    def keys(self, keys: Iterable[str]) -> Step:
        """Whether keys are good: read after the sums are locked, which whoever revokes one locks as well."""
        return self._keys, {"keys": self._list(keys)}

    def accounts(self, accounts: Iterable[int]) -> Step:
        return self._accounts, {"accounts": self._list(accounts)}

    def reserved(self, attempts: Iterable[str]) -> Step:
        """Lock reservations."""
        return self._lock_reserved, {"attempts": self._list(attempts)}

    def charged(self, attempts: Iterable[str]) -> Step:
        return self._charged, {"attempts": self._list(attempts)}

    def reserve(self, rows: Sequence[dict[str, Any]]) -> Step:
        return self._reserve, rows

    def close(self, rows: Sequence[dict[str, Any]]) -> Step:
        """Give reservations (`attempt`) their last state (`to`)."""
        return self._close, rows

    def move(self, rows: Sequence[dict[str, Any]]) -> Step:
        """Add to the sums of periods (`period`): `used_…` and `reserved_…`, which may be negative, and `warned_…`."""
        return self._move, rows

    def record(self, rows: Sequence[dict[str, Any]]) -> Step:
        return self._record, rows

    def day(self, rows: Sequence[dict[str, Any]]) -> Step:
        """Add to the sums of days."""
        return self._day, rows

    def event(self, rows: Sequence[dict[str, Any]]) -> Step:
        return self._event, rows

    def beat(self, attempts: Iterable[str], lease_seconds: int) -> Step:
        """Renew leases, of what is still open."""
        return self._beat, {"attempts": self._list(attempts), "lease": lease_seconds}

    def observe(self, rows: Sequence[dict[str, Any]]) -> Step:
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

    def _hot(self, statement: Any, keys: Sequence[str] | None = None) -> Hot:
        return Hot(statement, is_sqlite=self._is_sqlite, keys=keys)

    def _within(self, column: ColumnElement[Any], name: str, of: type[Any]) -> ColumnElement[bool]:
        """Whether `column` is in a list of any length, in a statement whose text is always the same."""
        if self._is_sqlite:
            return column.in_(self._listed(name, of))
        element = postgresql.BIGINT if of is Integer else of
        return column == any_(bindparam(name, type_=ARRAY(element)))

    def _listed(self, name: str, of: type[Any]) -> Select[Any]:
        """The values of a list, a row each."""
        if self._is_sqlite:
            return select(func.json_each(bindparam(name, type_=Text)).table_valued("value").c.value)
        element = postgresql.BIGINT if of is Integer else of
        return select(func.unnest(bindparam(name, type_=ARRAY(element))))

    def _list(self, values: Iterable[Any]) -> Any:
        return orjson.dumps(list(values)).decode() if self._is_sqlite else list(values)

    def _select_sums(self) -> Any:
        is_current = _is_current()
        others = budget.alias()
        shared = others.c.account_id == budget.c.account_id, others.c.subject < END_USER
        count = select(func.count()).where(*shared).scalar_subquery()
        own = [budget_period.c[name] for name in Sums._fields if name in budget_period.c]
        columns = [*own[:2], budget.c.subject, *own[2:], is_current.label("is_current"), count.label("budgets")]
        others_of = budget_period.alias()
        within = self._within(others_of.c.account_id, "accounts", Integer), ~others_of.c.of_end_user
        # Gathered first: with an `or` of the two, SQLite looks at all the periods that there are.
        wanted = (
            select(others_of.c.id).where(*within, _is_current(others_of)).union_all(self._listed("periods", Integer))
        )
        joined = select(*columns).join_from(budget_period, budget).where(budget_period.c.id.in_(wanted))
        joined = joined.order_by(budget_period.c.id)
        return joined.with_for_update(of=budget_period, key_share=True)

    def _select_end_users(self) -> Any:
        current = and_(budget_period.c.budget_id == budget.c.id, _is_current())
        found = select(budget.c.account_id, budget.c.subject, budget_period.c.id)
        return found.select_from(budget.outerjoin(budget_period, current)).where(
            self._within(budget.c.account_id, "accounts", Integer), self._within(budget.c.subject, "subjects", Text)
        )

    def _add_to_day(self) -> Any:
        into = sqlite.insert(usage_day) if self._is_sqlite else postgresql.insert(usage_day)
        names = [column.name for column in usage_day.c]
        added = into.values({name: bindparam(name, type_=usage_day.c[name].type) for name in names})
        sums = ("requests", *DAILY_SUMS)
        return added.on_conflict_do_update(
            index_elements=list(usage_day.primary_key.columns),
            set_={name: usage_day.c[name] + added.excluded[name] for name in sums},
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


def _is_current(period: FromClause = budget_period) -> ColumnElement[bool]:
    """Whether a period is going on."""
    now = db_now()
    return and_(period.c.starts_at <= now, or_(period.c.ends_at.is_(None), period.c.ends_at > now))


def _named(table: Table, kind: type[Any]) -> list[Any]:
    return [table.c[name] for name in kind._fields]


def _some(query: Any) -> Any:
    most = 100
    return query.order_by(reservation.c.attempt_id).limit(most).with_for_update(skip_locked=True)


def _select_keys(of_these: ColumnElement[bool]) -> Any:
    lives = or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > db_now())
    is_good = and_(api_key.c.revoked_at.is_(None), lives, account.c.active)
    return select(api_key.c.account_id, api_key.c.public_id, is_good).join_from(api_key, account).where(of_these)


def _reservation_values() -> dict[str, Any]:
    given = {column.name: bindparam(column.name, type_=column.type) for column in reservation.c}
    return given | {"created_at": db_now(), "lease_until": db_now(bindparam("lease", type_=Integer))}


def _event_values() -> dict[str, Any]:
    names = ("id", "account_id", "payload")
    given = {name: bindparam(name, type_=webhook_event.c[name].type) for name in names}
    return given | {"created_at": db_now(), "next_try_at": db_now(), "tries": 0}


def _move_sums() -> Any:
    names = ("used_tokens", "reserved_tokens", "used_microusd", "reserved_microusd")
    # Named apart from the columns, which an update would otherwise set to them.
    added = {name: budget_period.c[name] + bindparam(f"add_{name}", type_=budget_period.c[name].type) for name in names}
    warned = {
        name: or_(budget_period.c[name], bindparam(f"now_{name}", type_=budget_period.c[name].type))
        for name in ("warned_tokens", "warned_microusd")
    }
    return update(budget_period).where(budget_period.c.id == bindparam("period")).values(**added, **warned)


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

"""What one transaction of the ledger writes. PostgreSQL takes it as one statement: a round trip, however much it is.

What is written of each row is said here for both databases; `ledger.py` has SQLite's statements, one for each kind.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    Update,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine

from llm_backend.storage.driver import Hot, Step, Values
from llm_backend.storage.given import Columns, Document, Given, Lists, Row, values
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import budget_period, reservation, usage_day, usage_record, webhook_event

SUMS = ("used_tokens", "reserved_tokens", "used_microusd", "reserved_microusd")
WARNED = ("warned_tokens", "warned_microusd")
EVENT = [webhook_event.c[name] for name in ("id", "account_id", "payload")]
"""What an event is given; the rest is as `begun_event` says."""


@dataclass(slots=True)
class Writes:
    """Rows by column, or by the name of what is added to it."""

    reservations: list[Values] = field(default_factory=list)
    closed: list[Values] = field(default_factory=list)
    """`attempt` and the state that it comes `to`."""
    records: list[Values] = field(default_factory=list)
    days: list[Values] = field(default_factory=list)
    """What is added to the sums of days."""
    events: list[Values] = field(default_factory=list)
    moves: list[Values] = field(default_factory=list)
    """What is added to the sums of a `period`: `add_…`, which may be negative, and `now_warned_…`."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of those that have rows."""
        return tuple([part for part in PARTS if getattr(self, part)])

    @property
    def is_one(self) -> bool:
        """Whether there is one row at most of each."""
        return max(map(len, _rows_of(self))) <= 1


PARTS = tuple(each.name for each in fields(Writes))
_rows_of = attrgetter(*PARTS)
LOOKED_FOR = frozenset({"closed", "moves"})
"""Parts whose rows are there already; the others are inserted."""


class Together:
    """Writes as one statement for each kind of them, by what parts it has; compiled when the first such comes."""

    def __init__(self) -> None:
        self._given = given_parts()
        self._statements: dict[tuple[str, ...], Hot] = {}

    def step(self, writes: Writes) -> Step:
        parts = writes.parts
        hot = self._statements.get(parts)
        if hot is None:
            hot = self._statements[parts] = Hot(self._statement(parts), is_sqlite=False)
        return hot, values(self._given, writes, parts)

    def _statement(self, parts: Collection[str]) -> Select[Any]:
        return select(literal_column("1")).add_cte(*written(self._given, parts))


def given_parts() -> dict[str, Given]:
    """By the fields of `Writes`, how their rows are given."""
    return {
        part: (Lists if part in LOOKED_FOR else Document)(part, columns)
        for part, columns in _columns_of_parts().items()
    }


def given_rows() -> dict[str, Given]:
    """The same where each has one row."""
    return {part: Row(part, columns) for part, columns in _columns_of_parts().items()}


def _columns_of_parts() -> dict[str, Columns]:
    own = [each for each in reservation.c if each.name not in {"created_at", "lease_until"}]
    added = [(f"add_{name}", BigInteger()) for name in SUMS]
    warned = [(f"now_{name}", Boolean()) for name in WARNED]
    return {
        "reservations": [*_columns(own), ("lease", Integer())],
        "closed": [("attempt", Text()), ("to", Text())],
        "records": _columns(usage_record.c),
        "days": _columns(usage_day.c),
        "events": _columns(EVENT),
        "moves": [("period", BigInteger()), *added, *warned],
    }


def written(given: Mapping[str, Given], parts: Iterable[str], *only: ColumnElement[bool]) -> list[CTE]:
    """What writes the parts, all of it where `only` is so. All see what was there before, and no row is of two."""
    return [_write(part, given[part].rows, *only).cte(f"{part}_written") for part in parts]


def _write(part: str, rows: FromClause, *only: ColumnElement[bool]) -> Any:
    match part:
        case "reservations":
            return _inserted(reservation, rows, *only, **begun_reservation(rows.c.lease))
        case "closed":
            closed = update(reservation).where(reservation.c.attempt_id == rows.c.attempt, *only)
            return closed.values(state=rows.c.to)
        case "records":
            return _inserted(usage_record, rows, *only)
        case "days":
            return _added_days(rows, *only)
        case "events":
            return _inserted(webhook_event, rows, *only, **begun_event())
    return moved(lambda name, _: rows.c[name]).where(budget_period.c.id == rows.c.period, *only)


def begun_reservation(lease: ColumnElement[int]) -> dict[str, ColumnElement[Any]]:
    """`lease` in seconds."""
    return {"created_at": db_now(), "lease_until": db_now(lease)}


def begun_event() -> dict[str, ColumnElement[Any]]:
    return {"created_at": db_now(), "next_try_at": db_now(), "tries": literal_column("0")}


def added_to_days(into: Any) -> Any:
    """An insert of days, of either database, by which those that are there grow."""
    return into.on_conflict_do_update(
        index_elements=list(usage_day.primary_key.columns),
        set_={name: usage_day.c[name] + into.excluded[name] for name in ("requests", *DAILY_SUMS)},
    )


def moved(given: Callable[[str, TypeEngine[Any]], ColumnElement[Any]]) -> Update:
    """An update of sums by what is `given` under a name: named apart from the columns, which it would be set to."""
    added = {name: budget_period.c[name] + given(f"add_{name}", budget_period.c[name].type) for name in SUMS}
    warned = {name: or_(budget_period.c[name], given(f"now_{name}", budget_period.c[name].type)) for name in WARNED}
    return update(budget_period).values(**added, **warned)


def _added_days(rows: FromClause, *only: ColumnElement[bool]) -> Any:
    names = [each.name for each in usage_day.c]
    values = select(*(rows.c[name] for name in names)).where(*only)
    return added_to_days(postgresql.insert(usage_day).from_select(names, values))


def _inserted(table: Table, rows: FromClause, *only: ColumnElement[bool], **beside: ColumnElement[Any]) -> Any:
    names = [each.name for each in table.c if each.name in rows.c]
    values = select(*(rows.c[name] for name in names), *beside.values()).where(*only)
    return insert(table).from_select([*names, *beside], values, include_defaults=False)


def _columns(columns: Iterable[Column[Any]]) -> Columns:
    return [(each.name, each.type) for each in columns]

"""Statements on what was used, by day: sums of the sums that are written with each usage record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, cast, collate, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.tables import account, usage_day

Grouping = Literal["account", "key", "user", "model", "day"]

SUMS = ("requests", *DAILY_SUMS)

COLUMNS: dict[Grouping, ColumnElement[Any]] = {
    "account": usage_day.c.account_id,
    "key": usage_day.c.key_id,
    "user": usage_day.c.end_user,
    "model": usage_day.c.model,
    "day": usage_day.c.day,
}
TEXTS = frozenset({"key", "user", "model"})

Values = tuple[Any, ...]
"""Of a row's groups, as they are stored: '' stands for none."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Which days are summed, both ends included, and whose; None for everyone's."""

    first: date
    last: date
    account_id: int | None = None
    key_id: str | None = None
    user: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """The sums of one group."""

    values: Values
    account_name: str | None
    """Where it is grouped by account."""
    sums: dict[str, int]


async def page(
    session: AsyncSession, groups: Sequence[Grouping], scope: Scope, after: Values | None, limit: int
) -> list[Used]:
    """The first groups that come after the values `after`, in the order of the groupings."""
    # In the order of code points on every database, whatever its collation.
    collation = "BINARY" if session.get_bind().dialect.name == "sqlite" else "C"
    order = [collate(COLUMNS[each], collation) if each in TEXTS else COLUMNS[each] for each in groups]
    names = [account.c.name] if "account" in groups else []
    columns = [COLUMNS[each] for each in groups]
    query = _within(select(*columns, *names, *_sums()), scope, usage_day.join(account) if names else usage_day)
    if after is not None:
        passed = [literal(value, COLUMNS[each].type) for each, value in zip(groups, after, strict=True)]
        query = query.where(tuple_(*order) > tuple_(*passed))
    rows = await session.execute(query.group_by(*columns, *names).order_by(*order).limit(limit))
    return [_used(tuple(row), len(groups), is_named=bool(names)) for row in rows]


async def total(session: AsyncSession, scope: Scope) -> dict[str, int]:
    """The sums of everything in `scope`."""
    row = (await session.execute(_within(select(*_sums()), scope, usage_day))).one()
    return dict(zip(SUMS, row, strict=True))


def _used(row: Values, groups: int, *, is_named: bool) -> Used:
    name = row[groups] if is_named else None
    return Used(row[:groups], name, dict(zip(SUMS, row[groups + is_named :], strict=True)))


def _sums() -> list[ColumnElement[Any]]:
    # PostgreSQL sums to a number that is no integer.
    return [cast(func.coalesce(func.sum(usage_day.c[name]), 0), BigInteger).label(name) for name in SUMS]


def _within(query: Select[Any], scope: Scope, table: FromClause) -> Select[Any]:
    query = query.select_from(table).where(usage_day.c.day.between(scope.first, scope.last))
    wanted = {"account_id": scope.account_id, "key_id": scope.key_id, "end_user": scope.user, "model": scope.model}
    return query.where(*(usage_day.c[name] == value for name, value in wanted.items() if value is not None))

"""The statements that lock sums: the periods of some accounts, or some periods."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    FromClause,
    Integer,
    Select,
    and_,
    any_,
    bindparam,
    false,
    func,
    literal_column,
    or_,
    select,
    true,
    union_all,
)

from llm_backend.storage import lists
from llm_backend.storage.budgets import END_USER
from llm_backend.storage.driver import Hot, Step
from llm_backend.storage.ledger_rows import Sums
from llm_backend.storage.moments import db_now
from llm_backend.storage.sought import Sought
from llm_backend.storage.tables import budget, budget_period

_others = budget_period.alias()


class LockedSums:
    """Sums of periods, locked in one order for everyone.

    SQLite is given less where it is asked for less: of one account what is now (a reservation), or nothing but periods
    that are known (settlements). What it need not ask is most of its work.
    """

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        of_these = lists.within(_others.c.account_id, "accounts", Integer, is_sqlite=is_sqlite)
        given = lists.listed("periods", Integer, is_sqlite=is_sqlite)
        # Gathered first, and apart: with an `or` of these, all the periods that there ever were are looked at.
        ids = union_all(*(select(_others.c.id).where(each) for each in _is_now(_others, of_these)), given)
        every = _select(is_current(), counted_budgets()).where(_is_of(ids, is_sqlite=is_sqlite))
        self.every = Hot(_locked(every), is_sqlite=is_sqlite)
        if is_sqlite:
            own = _is_now(budget_period, budget_period.c.account_id == bindparam("account", type_=Integer))
            # In no order: there only one transaction at a time locks anything.
            self.of_one = Hot(
                union_all(*(_select(true(), counted_budgets()).where(each) for each in own)), is_sqlite=True
            )
            self.known = Sought(budget_period.c.id, Integer, _known, is_sqlite=True)

    def step(self, accounts: Collection[int], periods: Collection[int]) -> Step:
        if self._is_sqlite and not accounts:
            return self.known.step(periods)
        if self._is_sqlite and len(accounts) == 1 and not periods:
            [account_id] = accounts
            return self.of_one, {"account": account_id}
        return self.every, {"accounts": self._list(accounts), "periods": self._list(periods)}

    def _list(self, values: Collection[int]) -> Any:
        return lists.written(values, is_sqlite=self._is_sqlite)


def is_current() -> ColumnElement[bool]:
    """Whether a period is going on."""
    now = db_now()
    return and_(budget_period.c.starts_at <= now, or_(budget_period.c.ends_at.is_(None), budget_period.c.ends_at > now))


def _is_now(periods: FromClause, of_these: ColumnElement[bool]) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """What periods are current, but for end users': those without an end, and those that have one."""
    begun = and_(of_these, ~periods.c.of_end_user, periods.c.starts_at <= db_now())
    # With a clock that is asked at each row, all that have ended are looked at.
    return and_(begun, periods.c.ends_at.is_(None)), and_(begun, periods.c.ends_at > select(db_now()).scalar_subquery())


def _is_of(ids: CompoundSelect[Any], *, is_sqlite: bool) -> ColumnElement[bool]:
    if is_sqlite:
        return budget_period.c.id.in_(ids)
    # As a list: PostgreSQL asks again whether a row that another process has moved meanwhile is to be found, and leaves
    # it out where it is joined to what gathers them.
    return budget_period.c.id == any_(func.array(ids.scalar_subquery(), type_=ARRAY(BigInteger)))


def _known(of_these: ColumnElement[bool]) -> Select[Any]:
    # Nothing is reserved in these, so nobody asks which of them are now.
    return _locked(_select(false(), literal_column("0")).where(of_these))


def _locked(sums: Select[Any]) -> Select[Any]:
    return sums.order_by(budget_period.c.id).with_for_update(of=budget_period, key_share=True)


def _select(current: ColumnElement[bool], budgets: ColumnElement[int]) -> Select[Any]:
    own = [budget_period.c[name] for name in Sums.__slots__ if name in budget_period.c]
    columns = [*own[:2], budget.c.subject, *own[2:], current.label("is_current"), budgets.label("budgets")]
    return select(*columns).join_from(budget_period, budget)


def counted_budgets() -> ColumnElement[int]:
    """How many budgets the account of a period has, but for end users'."""
    others = budget.alias()
    # Written out: a value of the statement's own would be put among the others at each execution.
    shared = others.c.account_id == budget_period.c.account_id, others.c.subject < literal_column(f"'{END_USER}'")
    return select(func.count()).where(*shared).scalar_subquery()

"""A whole transaction of the ledger as one statement, for PostgreSQL: a round trip in place of five.

What it writes was decided on what this process remembers. It locks the rows that were decided on, in the order in which
every transaction does, and writes all of it where they are still such that the same would be decided, else nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    or_,
    select,
    true,
    type_coerce,
)

from llm_backend.storage.driver import Hot, Step, Values
from llm_backend.storage.given import Columns, Given, Lists, LookedFor, Row, values
from llm_backend.storage.ledger_sums import counted_budgets, is_current
from llm_backend.storage.ledger_tables import IS_OPEN
from llm_backend.storage.ledger_writes import SUMS, WARNED, Writes, given_parts, given_rows, written
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import account, api_key, budget_period, reservation

SAME = ("token_limit", "microusd_limit", *WARNED)
"""What of a period may be changed. Whose it is may not, but for end users', of which nothing is remembered."""
MOST = ("most_taken_tokens", "most_taken_microusd", "most_used_tokens", "most_used_microusd")
CALLERS = ("keys", "accounts")


@dataclass(slots=True)
class Expected:
    """What has to be found. That what is closed is open by then goes without saying."""

    sums: list[Values]
    """Of each period what was remembered; the `most` that may be used, and taken (used or held back); and how many
    `budgets` its account has, which is None where nothing is reserved: then it need not be current."""
    keys: list[Values] = field(default_factory=list)
    """Those that have to be good, and whose."""
    accounts: list[Values] = field(default_factory=list)
    """Those that have to be active, of callers without a key."""

    @property
    def callers(self) -> tuple[str, ...]:
        """The names of those that there are."""
        return tuple([name for name in CALLERS if getattr(self, name)])

    @property
    def is_one(self) -> bool:
        """Whether there is one row of what there is."""
        return len(self.sums) == 1 and len(self.keys) + len(self.accounts) <= 1


class Manner(NamedTuple):
    """How a statement is given what has to be found and what is written, by their parts."""

    expected: Mapping[str, LookedFor]
    written: Mapping[str, Given]


class Forecasts:
    """One statement for each kind of transaction, compiled when the first such comes."""

    def __init__(self) -> None:
        own, key = ("account_id", BigInteger()), ("key_id", Text())
        same = [(name, budget_period.c[name].type) for name in SAME]
        sums = [("id", BigInteger()), ("budgets", BigInteger()), *same, *((name, BigInteger()) for name in MOST)]
        expected: dict[str, Columns] = {"sums": sums, "keys": [own, key], "accounts": [own]}
        self._some = Manner({part: Lists(part, each) for part, each in expected.items()}, given_parts())
        # Who is alone under one ceiling has a statement that costs PostgreSQL a quarter less.
        self._one = Manner({part: Row(part, each) for part, each in expected.items()}, given_rows())
        self._statements: dict[tuple[bool, tuple[str, ...]], Hot] = {}

    def step(self, expected: Expected, writes: Writes) -> Step:
        """Its rows are the sums as they were before; there are none where nothing was written."""
        callers, parts = expected.callers, writes.parts
        is_one = expected.is_one and writes.is_one
        hot = self._statements.get((is_one, callers + parts))
        if hot is None:
            statement = self.statement(callers, parts, is_one=is_one)
            hot = self._statements[is_one, callers + parts] = Hot(statement, is_sqlite=False)
        manner = self._one if is_one else self._some
        known = values(manner.expected, expected, ("sums", *callers))
        return hot, known | values(manner.written, writes, parts)

    def statement(self, callers: Iterable[str], parts: Sequence[str], *, is_one: bool) -> Select[Any]:
        """Each of what is looked at waits for the one before it. `is_one`: there is one row of each."""
        expected, write = self._one if is_one else self._some
        so_far: ColumnElement[bool] = _are_open(write["closed"]) if "closed" in parts else true()
        sums = _locked_sums(expected["sums"].rows, so_far, is_reserving="reservations" in parts)
        so_far = expected["sums"].are_all(sums, sums.c.is_so)
        for name in callers:
            so_far = _are_good(expected[name], so_far)
        # Of one row it is as soon asked again as kept.
        is_so = so_far if is_one else select(select(so_far.label("is_so")).cte("as_expected").c.is_so).scalar_subquery()
        before = select(sums.c.id, *(sums.c[name] for name in SUMS)).where(is_so)
        return before.add_cte(*written(write, parts, is_so))


def is_good() -> ColumnElement[bool]:
    """Whether a key is, and its account."""
    lives = or_(api_key.c.expires_at.is_(None), api_key.c.expires_at > db_now())
    return and_(api_key.c.revoked_at.is_(None), lives, account.c.active)


def _are_open(closed: Given) -> ColumnElement[bool]:
    """Whether what is to be closed is."""
    assert isinstance(closed, LookedFor)
    # Asked of what was found: as a condition it would be looked for by its index, which has all that was ever open
    # until it is vacuumed.
    is_open = type_coerce(IS_OPEN, Boolean()).label("is_open")
    some = select(reservation.c.attempt_id, is_open).where(closed.includes("attempt", reservation.c.attempt_id))
    held = some.order_by(reservation.c.attempt_id).with_for_update().cte("held")
    return closed.are_all(held, held.c.is_open)


def _locked_sums(expected: FromClause, so_far: ColumnElement[bool], *, is_reserving: bool) -> CTE:
    own = [budget_period.c[name] for name in ("id", *SUMS)]
    is_so = _are_as(expected)
    if is_reserving:
        is_so &= or_(expected.c.budgets.is_(None), and_(is_current(), counted_budgets() == expected.c.budgets))
    rows = select(*own, is_so.label("is_so")).select_from(expected)
    rows = rows.join(budget_period, budget_period.c.id == expected.c.id)
    locked = rows.where(so_far).order_by(budget_period.c.id).with_for_update(of=budget_period, key_share=True)
    return locked.cte("locked_sums")


def _are_as(expected: FromClause) -> ColumnElement[bool]:
    """Whether the same would be decided on a period's sums."""
    now = budget_period.c
    return and_(
        *(now[name].is_not_distinct_from(expected.c[name]) for name in SAME),
        now.used_tokens + now.reserved_tokens <= expected.c.most_taken_tokens,
        now.used_microusd + now.reserved_microusd <= expected.c.most_taken_microusd,
        now.used_tokens <= expected.c.most_used_tokens,
        now.used_microusd <= expected.c.most_used_microusd,
    )


def _are_good(expected: LookedFor, so_far: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether callers are, as of after the sums were locked: whoever takes a right away locks those first.

    A statement sees what was there before it waited for the sums; but of a row that it locks, it sees the newest. One
    that somebody else has locked is taken for changed: to wait for it could be to wait crosswise.
    """
    rows = expected.rows
    if expected.part == "keys":
        own = (api_key.c.public_id == rows.c.key_id) & (api_key.c.account_id == rows.c.account_id)
        found = select(is_good().label("is_good")).select_from(rows).join(api_key, own).join(account)
    else:
        found = select(account.c.active.label("is_good")).join_from(rows, account, account.c.id == rows.c.account_id)
    of = [api_key, account] if expected.part == "keys" else [account]
    # With what is asked of them among the conditions, all active accounts there are could be looked through.
    locked = found.where(so_far).with_for_update(read=True, of=of, skip_locked=True).cte(f"locked_{expected.part}")
    return expected.are_all(locked, locked.c.is_good)

"""Statements on accounts."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, and_, false, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.conversations import CHAT
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import account, budget, budget_period, conversation

IS_ACTIVE = text("account.active")
"""As the index of the names has it, which SQLite takes for this text alone."""

WHOLE = ""
"""The subject of the budget that bounds all of an account."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays, and whose things are kept apart from everyone else's."""

    id: int
    name: str
    active: bool
    created_at: datetime
    updated_at: datetime | None
    course: str | None = None
    time_zone: str = "UTC"
    """As the IANA database names it: its budgets renew at its midnight."""
    fits: bool = False
    """Whether an output cap that the client named may be lowered to what is left."""
    stores: bool = True
    """Whether what models answer may be kept for it."""
    retention_days: int | None = None
    """How long what is said with it is kept; None: until it is deleted."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    token_limit: int | None = None
    """Of the current period, in tokens; None for no limit."""
    used_tokens: int = 0
    """In the current period; since it was made, where the budget does not renew."""
    microusd_limit: int | None = None
    used_microusd: int = 0
    each_token_limit: int | None = None
    """Of each of its periods: without what was carried into the current one."""
    each_microusd_limit: int | None = None
    renewal: Literal["never", "day", "week", "month", "term"] = "never"
    carries_over: bool = False
    terms: list[str] | None = None


OWN = [column for column in account.c if column.name in Account.__dataclass_fields__]


async def add(session: AsyncSession, name: str, now: datetime, values: dict[str, Any] | None = None) -> Account:
    """A new account, without a budget. Its name has to be free: see `find_active`; the unique index raises if not."""
    made = insert(account).values(name=name, active=True, created_at=now, **(values or {}))
    return Account(**(await session.execute(made.returning(*OWN))).mappings().one())


async def find(session: AsyncSession, account_id: int) -> Account | None:
    """The account, active or not."""
    return await _one(session, _read().where(account.c.id == account_id))


async def lock(session: AsyncSession, account_id: int) -> Account | None:
    """The account, active or not, changed by nobody else until the transaction ends."""
    # Its id stays: rows that refer to it may be added meanwhile.
    locked = select(account.c.id).where(account.c.id == account_id).with_for_update(key_share=True)
    await session.execute(locked)
    return await find(session, account_id)


async def lock_periods(session: AsyncSession, account_id: int) -> None:
    """Hold the periods of its budgets that have not ended: until the transaction ends nothing is reserved on them.

    Those of its end users need not be held: a reservation that touches one touches the account's own as well.

    Whoever takes a right away does so after this: a reservation looks at key and account with these rows in hand.
    """
    going_on = or_(budget_period.c.ends_at.is_(None), budget_period.c.ends_at > db_now())
    # By number, as reservations take them: nobody waits crosswise.
    shared = budget_period.c.account_id == account_id, ~budget_period.c.of_end_user
    periods = select(budget_period.c.id).where(*shared, going_on)
    await session.execute(periods.order_by(budget_period.c.id).with_for_update())


async def find_active(session: AsyncSession, name: str) -> Account | None:
    """The one active account of that name."""
    return await _one(session, _read().where(account.c.name == name, IS_ACTIVE))


async def every(session: AsyncSession) -> list[Account]:
    """All accounts, active or not, by name."""
    rows = await session.execute(_read().order_by(account.c.name, account.c.id))
    return [Account(**row) for row in rows.mappings()]


async def change(session: AsyncSession, account_id: int, values: dict[str, Any], now: datetime) -> None:
    """Put `values` in the place of what the account had; the unique index raises where its name is taken."""
    await session.execute(update(account).where(account.c.id == account_id).values(**values, updated_at=now))


async def close(session: AsyncSession, account_id: int) -> bool:
    """Whether this closed it: from here on its keys are refused and its name is free. Twice changes nothing.

    The time is of the database's clock, as that of reservations.
    """
    open_one = account.c.id == account_id, account.c.active
    closed = update(account).where(*open_one).values(active=False, updated_at=db_now()).returning(account.c.id)
    return (await session.execute(closed)).first() is not None


async def active_names(session: AsyncSession, names: Collection[str]) -> set[str]:
    """Which of `names` active accounts have."""
    taken = select(account.c.name).where(IS_ACTIVE, account.c.name.in_(names))
    return set((await session.execute(taken)).scalars())


async def count_chats(session: AsyncSession, account_id: int) -> int:
    """How many chats it has; none where it is no account."""
    own = conversation.c.account_id == account_id, conversation.c.kind == CHAT
    return int((await session.execute(select(func.count()).select_from(conversation).where(*own))).scalar_one())


def _read() -> Select[Any]:
    """Accounts with the sums of the period that is now, by the database's clock."""
    now = db_now()
    current = and_(
        budget_period.c.budget_id == budget.c.id,
        budget_period.c.starts_at <= now,
        or_(budget_period.c.ends_at.is_(None), budget_period.c.ends_at > now),
    )
    whole = and_(budget.c.account_id == account.c.id, budget.c.subject == WHOLE)
    return select(
        *OWN,
        # What was carried over is in the period's limit; before the period's first request there is only the budget's.
        func.coalesce(budget_period.c.token_limit, budget.c.token_limit).label("token_limit"),
        func.coalesce(budget_period.c.microusd_limit, budget.c.microusd_limit).label("microusd_limit"),
        func.coalesce(budget_period.c.used_tokens, 0).label("used_tokens"),
        func.coalesce(budget_period.c.used_microusd, 0).label("used_microusd"),
        budget.c.token_limit.label("each_token_limit"),
        budget.c.microusd_limit.label("each_microusd_limit"),
        func.coalesce(budget.c.renewal, "never").label("renewal"),
        func.coalesce(budget.c.carries_over, false()).label("carries_over"),
        budget.c.terms,
    ).select_from(account.outerjoin(budget, whole).outerjoin(budget_period, current))


async def _one(session: AsyncSession, query: Select[Any]) -> Account | None:
    row = (await session.execute(query)).mappings().first()
    return Account(**row) if row else None

"""Statements that take away what tells of a person, and leave what the books are made of."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, Text, and_, cast, delete, func, literal, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.budgets import END_USER, OF_END_USERS
from llm_backend.storage.ledger_tables import DAILY_SUMS, IS_OPEN
from llm_backend.storage.tables import (
    account,
    account_user,
    api_key,
    audit_record,
    budget,
    budget_period,
    conversation,
    idempotency_key,
    item,
    reservation,
    response,
    response_event,
    upstream_object,
    usage_day,
    usage_record,
    webhook_event,
)
from llm_backend.storage.users import User

AT_ONCE = 1000
"""Rows deleted by one transaction where there may be very many."""

NOTHING = b"{}"
"""What is left of a closed reservation's details: its record has the rest."""


@dataclass(frozen=True, slots=True)
class Named:
    """Which of the names that callers gave are meant: all of one account's, or one wherever it stands."""

    account_id: int | None = None
    end_user: str = ""

    def of(self, table: Table) -> ColumnElement[bool]:
        """The rows of usage that bear such a name."""
        if self.account_id is not None:
            named: ColumnElement[bool] = table.c.end_user != ""
            return named & (table.c.account_id == self.account_id)
        same: ColumnElement[bool] = table.c.end_user == self.end_user
        return same


async def find_user(session: AsyncSession, column: str, value: int | str) -> User | None:
    """The user with that `id` or `code`, changed by nobody else until a writing transaction ends."""
    query = select(account_user).where(account_user.c[column] == value).with_for_update()
    row = (await session.execute(query)).mappings().first()
    return User(**row) if row else None


async def hold_books(session: AsyncSession, named: Named) -> None:
    """Let nobody reserve or settle meanwhile: the rows are locked in the order in which the ledger does.

    Whoever touches the budget of an end user touches the account's own as well.
    """
    if named.account_id is not None:
        own: ColumnElement[bool] = budget_period.c.account_id == named.account_id
    else:
        own = budget_period.c.account_id.in_(select(usage_record.c.account_id).where(named.of(usage_record)))
    held = select(budget_period.c.id).where(own, ~budget_period.c.of_end_user).order_by(budget_period.c.id)
    await session.execute(held.with_for_update(key_share=True))


async def open_details(session: AsyncSession, account_id: int | None = None) -> list[bytes]:
    """The details of each attempt that runs, of one account or of all."""
    running = select(reservation.c.details).where(IS_OPEN)
    if account_id is not None:
        running = running.where(reservation.c.account_id == account_id)
    return list((await session.execute(running)).scalars())


async def delete_some(session: AsyncSession, table: Table, account_id: int) -> int:
    """Delete some rows of one table of `STATE` that are an account's; how many."""
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(table.c.account_id == account_id).limit(AT_ONCE)
    return await _count(session, delete(table).where(key.in_(some)))


async def delete_belongings(session: AsyncSession, account_id: int) -> dict[str, int]:
    """Delete an account's keys, its users, and what was kept for its requests; how many of each."""
    holder = f"account:{account_id}"
    return {
        "keys": await _count(session, delete(api_key).where(api_key.c.account_id == account_id)),
        "users": await _count(session, delete(account_user).where(account_user.c.account_id == account_id)),
        "results": await _count(session, delete(idempotency_key).where(idempotency_key.c.holder == holder)),
        "objects": await _count(session, delete(upstream_object).where(upstream_object.c.account_id == account_id)),
        "events": await _count(session, delete(webhook_event).where(webhook_event.c.account_id == account_id)),
    }


async def delete_user(session: AsyncSession, user_id: int) -> None:
    await session.execute(delete(account_user).where(account_user.c.id == user_id))


async def blank_names(session: AsyncSession, named: Named) -> int:
    """Take the names out of the usage records and their days, whose sums stay; how many records had one."""
    closed = reservation.c.attempt_id.in_(select(usage_record.c.attempt_id).where(named.of(usage_record)))
    await session.execute(update(reservation).where(closed).values(details=NOTHING))
    await session.execute(_fold_days(session, named))
    await session.execute(delete(usage_day).where(named.of(usage_day)))
    return await _count(session, update(usage_record).where(named.of(usage_record)).values(end_user=None))


async def blank_end_users(session: AsyncSession, named: Named) -> int:
    """Take the ids out of the budgets of end users, whose sums stay, and out of their audit; how many there were."""
    if named.account_id is not None:
        own = and_(budget.c.account_id == named.account_id, OF_END_USERS)
        noted = audit_record.c.target_id.startswith(f"{named.account_id}/{END_USER}", autoescape=True)
    else:
        own = budget.c.subject == END_USER + named.end_user
        noted = audit_record.c.target_id.endswith(f"/{END_USER}{named.end_user}", autoescape=True)
    of_budget = update(audit_record).where(audit_record.c.target_kind == "budget", noted)
    await session.execute(of_budget.values(target_id=f"{END_USER}erased"))
    erased = literal(f"{END_USER}erased-").concat(cast(budget.c.id, Text))
    return await _count(session, update(budget).where(own, budget.c.subject != erased).values(subject=erased))


async def blank_account(session: AsyncSession, account_id: int, name: str, now: datetime) -> None:
    """Leave of an account its number, when it was made, and what it used."""
    await session.execute(update(reservation).where(reservation.c.account_id == account_id).values(details=NOTHING))
    blank = {"name": name, "course": None, "active": False, "updated_at": now}
    await session.execute(update(account).where(account.c.id == account_id).values(blank))


def _fold_days(session: AsyncSession, named: Named) -> Any:
    """Add the days of those that are named to the days of nobody."""
    kept = ("account_id", "day", "key_id", "model")
    sums = ("requests", *DAILY_SUMS)
    days = select(
        *(usage_day.c[name] for name in kept),
        literal("").label("end_user"),
        *(func.sum(usage_day.c[name]).label(name) for name in sums),
    )
    folded = days.where(named.of(usage_day)).group_by(*(usage_day.c[name] for name in kept))
    into = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    added = into(usage_day).from_select([*kept, "end_user", *sums], folded)
    return added.on_conflict_do_update(
        index_elements=list(usage_day.primary_key.columns),
        set_={name: usage_day.c[name] + added.excluded[name] for name in sums},
    )


async def _count(session: AsyncSession, statement: Any) -> int:
    done: CursorResult[Any] = await session.execute(statement)  # type: ignore[assignment]
    return done.rowcount


STATE = (response_event, response, item, conversation)
"""What is kept of what an account's models and users said, in the order in which it can be deleted."""

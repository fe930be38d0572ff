"""Statements on responses and their events: every one asks for the account too, so that a foreign one is as none."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import idempotency
from llm_backend.storage.database import insert_once
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import response, response_event

RESPONSE, COMPLETION = "response", "chat.completion"
"""The kinds."""

LEASE_SECONDS = 60
"""How long a response is believed to be made after its process last said so."""

AT_ONCE = 20

LET_GO: Mapping[str, None] = {"owner": None, "lease_until": None, "request": None}
"""The columns of one that nobody makes any more, nor is to begin again."""

IS_LET_GO = response.c.lease_until.is_(None)
"""Nobody makes it: else whoever does still writes it, or whoever finds it when their process has died."""

HAS_NOT_ENDED = response.c.ended_at.is_(None)
"""How it ends is not written yet, whether or not anybody makes it."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a model answered, without its items."""

    id: int
    public_id: str
    account_id: int
    kind: str
    is_stored: bool
    """Whether it is there for its account; else only its events are."""
    status: str
    model: str
    conversation_id: int | None
    first_sequence: int | None
    """Where its input begins."""
    output_sequence: int | None
    """Where its output begins."""
    end_sequence: int | None
    """Behind its output."""
    body: bytes
    """All that is shown of it but its items: a JSON object."""
    metadata: dict[str, str]
    attempt_id: str | None
    request: bytes | None
    """What was asked, of one that is made in the background: JSON."""
    key_id: str | None
    owner: str | None
    lease_until: datetime | None
    is_cancelled: bool
    created_at: datetime
    ended_at: datetime | None
    events_until: datetime | None


async def add(session: AsyncSession, values: Mapping[str, Any]) -> int:
    """A new response; its number."""
    made = insert(response).values(**values).returning(response.c.id)
    return int((await session.execute(made)).scalar_one())


async def add_once(session: AsyncSession, values: Mapping[str, Any]) -> int:
    """As `add`, where it may be there already, or be added this moment."""
    await session.execute(insert_once(session, response, values, ("public_id",)))
    found = select(response.c.id).where(*_own(values["account_id"], values["public_id"]))
    return int((await session.execute(found)).scalar_one())


async def find(session: AsyncSession, account_id: int, public_id: str, *, locks: bool = False) -> Response | None:
    """The account's response of that id, of any kind, stored or not.

    `locks`: whether nobody else may change it until the transaction ends.
    """
    one = select(*response.c).where(*_own(account_id, public_id))
    row = (await session.execute(one.with_for_update() if locks else one)).mappings().first()
    return Response(**row) if row else None


async def change(session: AsyncSession, account_id: int, public_id: str, values: Mapping[str, Any]) -> int | None:
    """Set columns; its number, None where there is none."""
    changed = update(response).where(*_own(account_id, public_id)).values(**values).returning(response.c.id)
    number = (await session.execute(changed)).scalar_one_or_none()
    return None if number is None else int(number)


async def claim(session: AsyncSession, account_id: int, public_id: str, owner: str) -> bool:
    """Note of `owner`'s queued response that it is being made now; False where it is none, or is to be cancelled.

    Where that was noted before, without a word, it is noted.
    """
    is_open = response.c.status.in_(("queued", "in_progress"))
    mine = is_open, response.c.owner == owner, ~response.c.is_cancelled
    claimed = update(response).where(*_own(account_id, public_id), *mine).values(status="in_progress")
    return (await session.execute(claimed.returning(response.c.id))).scalar_one_or_none() is not None


async def overdue(session: AsyncSession, owner: str, *, others: bool = False) -> list[Response]:
    """Some of those whose process has not said for long that it makes them, which are `owner`'s now.

    `others`: of all that are not `owner`'s, whatever their processes said.
    """
    is_left = ~IS_LET_GO & (response.c.owner != owner)
    is_late = is_left if others else response.c.lease_until < db_now()
    late = select(response.c.id).where(is_late).order_by(response.c.lease_until)
    late = late.limit(AT_ONCE).with_for_update(skip_locked=True)
    taken = update(response).where(response.c.id.in_(late)).values(owner=owner, lease_until=leased())
    return [Response(**row) for row in (await session.execute(taken.returning(*response.c))).mappings()]


async def cancel(session: AsyncSession, account_id: int, public_id: str) -> None:
    """Have whoever makes it end it."""
    await session.execute(update(response).where(*_own(account_id, public_id), HAS_NOT_ENDED).values(is_cancelled=True))


async def remove(session: AsyncSession, account_id: int, number: int) -> None:
    """Delete a response with its events, and what is told of it again; its items are the caller's to delete."""
    # First: whoever makes it writes events, and is waited for.
    await session.execute(select(response.c.id).where(response.c.id == number).with_for_update())
    await idempotency.forget(session, select(response.c.public_id).where(response.c.id == number))
    of_it = response_event.c.response_id == number, response_event.c.account_id == account_id
    await session.execute(delete(response_event).where(*of_it))
    await session.execute(delete(response).where(response.c.id == number, response.c.account_id == account_id))


def leased() -> ColumnElement[datetime]:
    """Until when whoever makes a response now has it to itself."""
    return db_now(bindparam("lease", LEASE_SECONDS, Integer))


async def renew(session: AsyncSession, owner: str, public_ids: Collection[str]) -> dict[str, bool]:
    """Say that these are still made by `owner`; of each that is, whether it is to be cancelled."""
    mine = response.c.public_id.in_(public_ids), response.c.owner == owner, ~IS_LET_GO
    # One that is just written to is renewed the next time: who holds several waits for none of them.
    free = select(response.c.id).where(*mine).with_for_update(skip_locked=True)
    await session.execute(update(response).where(response.c.id.in_(free)).values(lease_until=leased()))
    told = await session.execute(select(response.c.public_id, response.c.is_cancelled).where(*mine))
    return {row.public_id: row.is_cancelled for row in told}


def _own(account_id: int, public_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return response.c.account_id == account_id, response.c.public_id == public_id

"""Statements on webhook events: what is to be told, from the transaction that it happened in until it was taken."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.tables import webhook_event


@dataclass(frozen=True, slots=True)
class Event:
    """Something to be told."""

    id: str
    account_id: int
    payload: bytes
    """What is sent, to the byte: it is signed."""
    tries: int
    """How often it was begun to be sent."""


async def due(session: AsyncSession, now: datetime, most: int) -> list[Event]:
    """Events whose time has come, those that have waited longest."""
    columns = webhook_event.c.id, webhook_event.c.account_id, webhook_event.c.payload, webhook_event.c.tries
    waiting = select(*columns).where(webhook_event.c.next_try_at <= now)
    rows = await session.execute(waiting.order_by(webhook_event.c.next_try_at).limit(most))
    return [Event(**row) for row in rows.mappings()]


async def claim(session: AsyncSession, events: Iterable[Event], until: datetime) -> list[Event]:
    """Those of `events` that nobody else has tried since they were read: nobody else will before `until`."""
    claimed = []
    # By id, so that two that claim the same events wait for one another and never crosswise.
    for event in sorted(events, key=lambda event: event.id):
        as_read = webhook_event.c.id == event.id, webhook_event.c.tries == event.tries
        taken = update(webhook_event).where(*as_read, webhook_event.c.next_try_at.is_not(None))
        values = taken.values(tries=event.tries + 1, next_try_at=until).returning(webhook_event.c.id)
        if (await session.execute(values)).first() is not None:
            claimed.append(Event(event.id, event.account_id, event.payload, event.tries + 1))
    return claimed


async def note_taken(session: AsyncSession, event: Event, now: datetime) -> None:
    """It was taken, whoever else tries it at this moment."""
    values = {"delivered_at": now, "next_try_at": None, "last_error": None}
    await session.execute(update(webhook_event).where(webhook_event.c.id == event.id).values(values))


async def note_failed(session: AsyncSession, event: Event, error: str, next_try_at: datetime | None) -> None:
    """It was not taken by the try that `event` was claimed for; without a next one it is given up."""
    own = webhook_event.c.id == event.id, webhook_event.c.tries == event.tries, webhook_event.c.delivered_at.is_(None)
    await session.execute(update(webhook_event).where(*own).values(last_error=error, next_try_at=next_try_at))

"""Statements on the events of responses: what a client of a stream was told, some at a time."""

from typing import NamedTuple

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.tables import response_event


class Events(NamedTuple):
    """Some that follow each other."""

    first: int
    """The number of the first."""
    last: int
    frames: bytes
    """As they went out."""


async def add(session: AsyncSession, account_id: int, number: int, events: Events) -> None:
    """More of the response of that number."""
    await session.execute(insert(response_event).values(response_id=number, account_id=account_id, **events._asdict()))


async def after(session: AsyncSession, account_id: int, number: int, last: int, most: int) -> list[Events]:
    """Those behind the event `last`, and with it where they were written together; so many groups at most."""
    own = response_event.c.response_id == number, response_event.c.account_id == account_id
    columns = [response_event.c[name] for name in Events._fields]
    some = select(*columns).where(*own, response_event.c.last > last).order_by(response_event.c.first).limit(most)
    return [Events(*row) for row in await session.execute(some)]


async def last(session: AsyncSession, account_id: int, number: int) -> int:
    """The number of the last; -1 where there is none."""
    own = response_event.c.response_id == number, response_event.c.account_id == account_id
    newest = select(func.coalesce(func.max(response_event.c.last), -1)).where(*own)
    return int((await session.execute(newest)).scalar_one())


async def remove(session: AsyncSession, account_id: int, number: int) -> None:
    """Delete all of a response."""
    own = response_event.c.response_id == number, response_event.c.account_id == account_id
    await session.execute(delete(response_event).where(*own))

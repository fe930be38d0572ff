"""Statements on the one row that tells which secret this database belongs to."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.database import insert_once
from llm_backend.storage.tables import installation


async def secret_digest(session: AsyncSession) -> bytes | None:
    """What the secret was recognised by when it was first used; None before that."""
    return (await session.execute(select(installation.c.secret_digest))).scalar_one_or_none()


async def note_secret(session: AsyncSession, digest: bytes, now: datetime) -> None:
    """Keep `digest`, unless there is one already."""
    values = {"id": 1, "secret_digest": digest, "created_at": now}
    await session.execute(insert_once(session, installation, values, ("id",)))

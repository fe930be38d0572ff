"""Statements on reservations, but for the hot ones of `ledger`."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import moments
from llm_backend.storage.tables import reservation

KEPT = timedelta(days=7)
"""For so long after its reservation a truth that comes late is still charged."""

PRUNED_AT_ONCE = 1000


async def prune(session: AsyncSession) -> int:
    """Forget some of the reservations that were settled long ago; how many. Their usage records stay."""
    oldest = _first_attempt(await moments.now(session) - KEPT)
    is_over = text("reservation.state IN ('settled', 'voided')")
    # By the attempts' ids, which begin with the time: the primary key finds them.
    old = select(reservation.c.attempt_id).where(reservation.c.attempt_id < oldest, is_over)
    some = old.order_by(reservation.c.attempt_id).limit(PRUNED_AT_ONCE).correlate(None)
    done: CursorResult[Any] = await session.execute(delete(reservation).where(reservation.c.attempt_id.in_(some)))  # type: ignore[assignment]
    return done.rowcount


def _first_attempt(moment: datetime) -> str:
    """What stands before the id of every attempt begun at `moment` or later."""
    milliseconds = f"{int(moment.timestamp() * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-0000-0000-000000000000"

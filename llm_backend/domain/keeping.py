"""What is written in the transaction that settles an attempt, besides its charge."""

from functools import partial
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.entries import Beside
from llm_backend.domain.work import Ending, Work
from llm_backend.errors import Json

HTTP_OK = 200


class Kept(NamedTuple):
    """What there is of an answer to be kept."""

    content: Json = None
    """As parsed; None where it is not whole."""
    media_type: str = "application/json"
    """Of the answer, as it is told again under an Idempotency-Key."""
    passed_on: bytes | None = None
    """The body, where it came in one piece."""
    ending: bytes = b""
    """What followed what was recorded while it came."""


def written_with(work: Work, attempt_id: str, ending: Ending, kept: Kept, *, is_charged: bool) -> Beside:
    """Writes what `work` wants kept, and what is told again under its Idempotency-Key."""
    keep, once = work.keep, work.once
    is_there = kept.content is not None
    plan = partial(work.plan, attempt_id, kept.content) if work.plan is not None and is_there else None
    if once is None and (keep is None or not is_there):
        return Beside(plan=plan)

    async def write(session: AsyncSession) -> None:
        if keep is not None and is_there:
            await keep(session, attempt_id, kept.content)
        if once is None:
            return
        if ending.status == "completed":
            await once.keep(session, HTTP_OK, kept.media_type, kept.passed_on, kept.ending)
        else:
            await once.fail(session, ending.error, charged=is_charged)

    return Beside(write, plan)

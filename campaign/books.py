"""What the database and the upstream say once all is quiet, against what the clients were told."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from campaign.load import Asked
from llm_backend.configured import LEASE_SECONDS
from llm_backend.domain.doctor import Doctor
from llm_backend.storage.database import Database
from llm_backend.storage.ledger_tables import budget_period, reservation, usage_record
from llm_backend.storage.moments import db_now

SILENCE_SECONDS = 4
"""Whose leases were not renewed for so long is not running: a server renews them every second."""

IS_OPEN = reservation.c.state.in_(("held", "dispatched"))


@dataclass(slots=True)
class Findings:
    """What is wrong, in words, and two counts of it."""

    lost: int = 0
    """Answers and calls that are not charged once, at what was reported."""
    violations: int = 0
    problems: list[str] = field(default_factory=list)


class Books:
    """Reads the ledger of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._uncalled = 0
        """Attempts of rounds that are over, charged without a call: their process died between the two."""

    async def open_reservations(self) -> int:
        async with self._database.reading() as session:
            return await _number(session, select(func.count()).where(IS_OPEN))

    async def has_no_silent_reservations(self) -> bool:
        """Whether none are open of processes that say nothing."""
        async with self._database.reading() as session:
            return not await _number(session, select(func.count()).where(IS_OPEN, _is_silent()))

    async def end_silent_leases(self) -> None:
        """Let the leases of processes that say nothing be over, as if one had waited for it."""
        async with self._database.begin() as session:
            await session.execute(update(reservation).where(IS_OPEN, _is_silent()).values(lease_until=db_now(-1)))

    async def examined(self, asked: Iterable[Asked], calls: int, *, guessed: int = 0) -> Findings:
        """All that is wrong. `calls`: how many the upstream has had since the database was made.

        `guessed`: how many attempts of this round may be charged without a call, their process having died before it.
        """
        found = Findings()
        for violation in await Doctor(self._database).violations():
            found.violations += 1
            found.problems.append(f"{violation.invariant}: {violation.text}")
        async with self._database.reading() as session:
            reserved = await _number(session, select(func.sum(budget_period.c.reserved_tokens)))
            rows = (await session.execute(select(usage_record).where(usage_record.c.basis != "void"))).mappings().all()
        if reserved:
            found.problems.append(f"{reserved} tokens are still reserved.")
        charges = sum(row["kind"] == "charge" for row in rows) - self._uncalled
        if not calls <= charges <= calls + guessed:
            found.lost += max(0, calls - charges)
            found.problems.append(f"The upstream had {calls} calls, and {charges} were charged.")
        self._uncalled += charges - calls
        _compare(asked, rows, found)
        return found


def _compare(asked: Iterable[Asked], rows: Iterable[Any], found: Findings) -> None:
    """Whether each answer that came whole is charged once, and all in all at what its client was told."""
    of_request = defaultdict(list)
    for row in rows:
        of_request[row["request_id"]].append(row)
    for each in asked:
        if not each.is_complete:
            continue
        records = of_request[each.request_id]
        kinds = sorted(row["kind"] for row in records)
        charged = tuple(sum(row[name] for row in records) for name in ("prompt_tokens", "completion_tokens"))
        told = (each.usage["prompt_tokens"], each.usage["completion_tokens"]) if each.usage else None
        if kinds not in (["charge"], ["adjustment", "charge"]) or charged != told:
            found.lost += 1
            found.problems.append(f"{each}: told {told}, charged {charged} in {kinds}.")


def _is_silent() -> Any:
    return reservation.c.lease_until < db_now(LEASE_SECONDS - SILENCE_SECONDS)


async def _number(session: AsyncSession, query: Any) -> int:
    return int((await session.execute(query)).scalar_one() or 0)

"""What has to be true of accounts, reservations and charges whatever has failed, asked of the database itself.

What it cannot tell: I4 (the upstream's own log), I9 beyond stored items (what clients received), I12 (the journal of a
process is a file), I14 (Redis).
"""

from dataclasses import dataclass
from functools import cache

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.errors import Json
from llm_backend.storage.checking import attempts, items, rules, sums
from llm_backend.storage.checking.check import Check

MOST = 1_000
"""Violations told of one check: more of the same kind say nothing new."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that is not as it has to be."""

    invariant: str
    text: str
    ids: dict[str, Json]
    """Which rows, by the names of their columns."""


@cache
def checks() -> tuple[Check, ...]:
    """All that are queries."""
    found = [*sums.checks(), *attempts.checks(), *items.checks(), *rules.checks()]
    return tuple(sorted(found, key=lambda check: (len(check.invariant), check.invariant)))


async def violations(session: AsyncSession) -> list[Violation]:
    """All that is not as it has to be, by invariant. Each check is one statement, so that it sees one moment."""
    found = [each for check in checks() for each in await _of(session, check)]
    for table, rule in await rules.missing(session):
        found.append(Violation("I13", f"{table} lacks the rule {rule}", {"rule": rule}))
    return found


async def _of(session: AsyncSession, check: Check) -> list[Violation]:
    rows = (await session.execute(check.finds.limit(MOST))).mappings()
    return [Violation(check.invariant, check.says.format(**row), _ids(dict(row))) for row in rows]


def _ids(row: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in row.items() if name.endswith("_id") and value is not None}

"""Why a budget stands where it stands: its sums derived anew from the ledger, line by line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.snapshots import snapshot
from llm_backend.errors import NotFound
from llm_backend.storage import accounts, explanations, standings
from llm_backend.storage.budgets import END_USER, Budget, Period
from llm_backend.storage.database import Database
from llm_backend.storage.explanations import Entry, Running, Sum
from llm_backend.storage.standings import Which

__all__ = ["MOST_LINES", "Entry", "Explanation", "Explanations", "Running", "Sum"]

MOST_LINES = 1_000
"""Of one budget."""
MOST_TOGETHER = 10_000
"""Of all budgets of an account."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A budget in its current period. Lines are the newest; what is older is in the sums only."""

    budget: Budget
    period: Period | None
    """None where nothing was asked in it so far."""
    charged: Sum
    entries: Sequence[Entry]
    held: Sum
    running: Sequence[Running]

    @property
    def earlier(self) -> Sum:
        """Of the records before the first of `entries`."""
        return Sum(
            self.charged.rows - len(self.entries),
            self.charged.tokens - sum(entry.total_tokens for entry in self.entries),
            self.charged.microusd - sum(entry.cost_microusd for entry in self.entries),
        )

    @property
    def lines(self) -> Iterator[tuple[Entry, Sum]]:
        """Each of `entries` with the sums up to and with it."""
        so_far = self.earlier
        for entry in self.entries:
            so_far = Sum(so_far.rows + 1, so_far.tokens + entry.total_tokens, so_far.microusd + entry.cost_microusd)
            yield entry, so_far

    @property
    def derived(self) -> dict[str, int]:
        """The sums as the rows have them."""
        return {
            "used_tokens": self.charged.tokens,
            "reserved_tokens": self.held.tokens,
            "used_microusd": self.charged.microusd,
            "reserved_microusd": self.held.microusd,
        }

    @property
    def stored(self) -> dict[str, int]:
        """The sums as the period's row has them."""
        return {name: getattr(self.period, name) if self.period else 0 for name in self.derived}

    @property
    def agrees(self) -> bool:
        return self.stored == self.derived

    def limit(self, name: str) -> int | None:
        """Of `token_limit` or `microusd_limit`: that of the period, else the budget's own."""
        found: int | None = getattr(self.period or self.budget, name)
        return found

    def carried_over(self, name: str) -> int:
        """What the period's limit has beyond the budget's own."""
        limit, own = self.limit(name), getattr(self.budget, name)
        return 0 if limit is None or own is None else max(0, limit - own)


class Explanations:
    """Reads; changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, account_id: int, limit: int = MOST_LINES, end_user: str | None = None) -> list[Explanation]:
        """Each budget of the account, that of all of it first, with its `limit` newest lines.

        `end_user`: an id; that end user's budget instead. Raises NotFound.
        """
        return await self._database.detached(self._of(account_id, limit, end_user))

    async def _of(self, account_id: int, limit: int, end_user: str | None) -> list[Explanation]:
        async with snapshot(self._database) as session:
            if await accounts.find(session, account_id) is None:
                raise NotFound(f"Account with id {account_id} does not exist", param="account_id")
            subjects: Which = {} if end_user is None else {"subjects": (END_USER + end_user,)}
            known = await standings.of_account(session, account_id, **subjects)
            if end_user is not None and not known:
                raise NotFound("There is no budget of that end user.", param="end_user")
            most = min(limit, max(1, MOST_TOGETHER // max(1, len(known))))
            return [await _explained(session, *each, most) for each in known]


async def _explained(session: AsyncSession, known: Budget, period: Period | None, most: int) -> Explanation:
    if period is None:
        return Explanation(known, None, Sum(0, 0, 0), (), Sum(0, 0, 0), ())
    of = session, known.subject, period
    return Explanation(
        known,
        period,
        charged=await explanations.charged(*of),
        entries=await explanations.newest_entries(*of, most),
        held=await explanations.held(*of),
        running=await explanations.newest_running(*of, most),
    )

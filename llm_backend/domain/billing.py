"""What a key may spend, and has spent, in money alone."""

from collections.abc import Iterable
from dataclasses import dataclass

from llm_backend.domain.account_budgets import ACCOUNT, Standing


@dataclass(frozen=True, slots=True)
class Bill:
    """How a budget stands in its current period."""

    limit_microusd: int | None
    """None where nothing bounds it."""
    used_microusd: int

    @property
    def left_microusd(self) -> int:
        """Less than nothing where an answer came to more than was left."""
        if self.limit_microusd is None:
            raise AssertionError("What nothing bounds has no rest.")
        return self.limit_microusd - self.used_microusd


def bill(standings: Iterable[Standing]) -> Bill:
    """That of the budget with least left; where none has a limit in money, what all of the account used."""
    every = {standing.subject: _of(standing) for standing in standings}
    limited = [each for each in every.values() if each.limit_microusd is not None]
    return min(limited, key=lambda each: each.left_microusd) if limited else every[ACCOUNT]


def _of(standing: Standing) -> Bill:
    if standing.period is None:
        return Bill(standing.budget.microusd_limit, 0)
    return Bill(standing.period.microusd_limit, standing.period.used_microusd)

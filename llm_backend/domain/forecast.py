"""What is decided on remembered sums, and what has to be found of them so that the same is decided on what is so."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from llm_backend.domain.granting import UNBOUNDED
from llm_backend.domain.sheet import Sheet, Terms, moving
from llm_backend.storage.accounts import WHOLE
from llm_backend.storage.driver import Rows, Values
from llm_backend.storage.ledger_forecasts import MOST, SAME
from llm_backend.storage.ledger_rows import Sums
from llm_backend.storage.ledger_writes import SUMS


class Forecast(Sheet):
    """Sums as they are remembered: whoever else writes may have moved them."""

    def __init__(self, rows: Iterable[Sums], terms: Terms, reserving: Collection[int]) -> None:
        """`reserving`: the accounts in which something is reserved."""
        super().__init__(rows, terms)
        self._reserving = reserving
        self._highest: dict[int, tuple[int, ...]] = {}
        """Of the periods that something is reserved on, the most that was taken of each limit in between."""

    def hold(self, period_id: int, tokens: int, microusd: int) -> None:
        super().hold(period_id, tokens, microusd)
        if tokens >= 0 and microusd >= 0:
            taken = _taken(moving(self._sums[period_id]))
            self._highest[period_id] = tuple(map(max, taken, self._highest.get(period_id, taken)))

    @property
    def warns(self) -> bool:
        """Whether a soft limit is passed, of which somebody is told once."""
        return any(moving(sums)[4:] != self._before[sums.id][4:] for sums in self._sums.values())

    def expected(self) -> list[Values]:
        """Of each period what has to be found; see `Expected`."""
        return [self._expected(sums) for sums in self._sums.values()]

    def correct(self, rows: Rows) -> None:
        """Go on from what the sums were: `rows` of ids with sums."""
        for period_id, *found in rows:
            sums = self._sums[period_id]
            for name, actual, remembered in zip(SUMS, found, self._before[period_id], strict=False):
                setattr(sums, name, getattr(sums, name) + actual - remembered)

    def _expected(self, sums: Sums) -> Values:
        same = {name: getattr(sums, name) for name in SAME}
        # Where nothing is reserved, its time may be over.
        budgets = sums.budgets if sums.account_id in self._reserving else None
        most = zip(MOST, (*self._most_taken(sums), *self._most_used(sums)), strict=True)
        return {"id": sums.id, "budgets": budgets, **same, **dict(most)}

    def _most_taken(self, sums: Sums) -> Iterator[int]:
        """How much may be taken of each limit before, so that all that is reserved fits under it."""
        before = _taken(self._before[sums.id])
        highest = self._highest.get(sums.id)
        for place, limit in enumerate((sums.token_limit, sums.microusd_limit)):
            yield UNBOUNDED if limit is None or highest is None else limit - (highest[place] - before[place])

    def _most_used(self, sums: Sums) -> Iterator[int]:
        """How much may be used of each limit before, so that no soft one is passed: these are of whole accounts."""
        used_tokens, _, used_microusd, *_ = self._before[sums.id]
        for limit, is_warned, added in (
            (sums.token_limit, sums.warned_tokens, sums.used_tokens - used_tokens),
            (sums.microusd_limit, sums.warned_microusd, sums.used_microusd - used_microusd),
        ):
            if limit and not is_warned and sums.subject == WHOLE:
                yield (limit * self._terms.soft_percent - 1) // 100 - added
            else:
                yield UNBOUNDED


def _taken(sums: Sequence[int]) -> tuple[int, ...]:
    used_tokens, reserved_tokens, used_microusd, reserved_microusd, *_ = sums
    return used_tokens + reserved_tokens, used_microusd + reserved_microusd

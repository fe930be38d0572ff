"""Prices of all models, and from when on they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from llm_backend.domain.usage import Price


@dataclass(frozen=True, slots=True)
class Dated:
    """A price and the day (UTC) from which it holds; None: there is none from then on."""

    starts: date
    price: Price | None


class Prices:
    """The prices of all models. What has none is free, for all that is known."""

    def __init__(self, prices: Mapping[str, Sequence[Dated]]) -> None:
        self.adopt(prices)

    def adopt(self, prices: Mapping[str, Sequence[Dated]]) -> None:
        """Go by these from now on; what is under way keeps the price that it was reserved at."""
        self._prices = {model: sorted(dated, key=_day, reverse=True) for model, dated in prices.items()}

    def of(self, model: str, moment: datetime) -> Price | None:
        """The price of `model` at `moment`: the newest that has begun; None where there is none."""
        today = moment.astimezone(UTC).date()
        begun = (dated.price for dated in self._prices.get(model, ()) if dated.starts <= today)
        return next(begun, None)


def _day(dated: Dated) -> date:
    return dated.starts

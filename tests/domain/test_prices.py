"""Prices, and the days from which they hold."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from llm_backend.domain.prices import Dated, Prices
from llm_backend.domain.usage import Price

OLD, NEW = Price(input_microusd=1), Price(input_microusd=2)
CHANGE = datetime(2026, 3, 1, tzinfo=UTC)
TABLE = {"m": [Dated(CHANGE.date(), NEW), Dated(date.min, OLD)], "gone": [Dated(date.min, OLD), Dated(date.max, None)]}


@pytest.mark.parametrize(
    ("moment", "price"),
    [
        (CHANGE - timedelta(microseconds=1), OLD),
        (CHANGE, NEW),
        (CHANGE + timedelta(days=3650), NEW),
        # Already the second of March there, still the last of February in UTC.
        (datetime(2026, 3, 1, 10, tzinfo=timezone(timedelta(hours=11))), OLD),
    ],
)
def test_the_newest_price_that_has_begun_holds(moment: datetime, price: Price) -> None:
    assert Prices(TABLE).of("m", moment) == price


def test_a_model_without_a_price_or_before_its_first_has_none() -> None:
    prices = Prices({"later": [Dated(date.max, NEW)]})

    assert (prices.of("later", CHANGE), prices.of("other", CHANGE)) == (None, None)

"""Prices of models, with the days from which they hold."""

from datetime import date

import pytest

from llm_backend.configured import priced
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.prices import Prices
from llm_backend.domain.usage import Price
from llm_backend.settings import load_with_origins
from llm_backend.settings.explain import explain
from tests.settings.loading import Load, refused

FILE = """
[models.m]
input_microusd_per_million = 100
[[models.m.prices]]
from = 2026-03-01
input_microusd_per_million = 50
[[models.m.prices]]
from = 2026-01-01
reasoning_microusd_per_million = 70
"""


def test_a_price_may_hold_from_a_day_on(load_file: Load) -> None:
    model = load_file(FILE).models["m"]

    assert model.input_microusd_per_million == 100
    assert [price.starts for price in model.prices] == [date(2026, 3, 1), date(2026, 1, 1)]
    assert model.prices[1].reasoning_microusd_per_million == 70


def test_what_is_sold_by_the_piece_has_a_price_beside_its_tokens(load_file: Load) -> None:
    settings = load_file(
        "[models.m]\nimages_microusd_per_million = 40_000_000_000\nseconds_microusd_per_million = 100_000_000\n"
        "characters_microusd_per_million = 15_000_000\n"
    )

    assert Prices(priced(settings)).of("m", SystemClock().now()) == Price(
        images_microusd=40_000_000_000, seconds_microusd=100_000_000, characters_microusd=15_000_000
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[models.m]\nprices = 5", "models.m.prices must be a list of tables."),
        ("[models.m]\nprices = [5]", "models.m.prices[0] must be a table."),
        ("[[models.m.prices]]\nfrm = 2026-01-01", "unknown key models.m.prices[0].frm; did you mean"),
        ("[[models.m.prices]]\nstarts = 2026-01-01", "unknown key models.m.prices[0].starts"),
        ("[[models.m.prices]]\ninput_microusd_per_million = 1", "models.m.prices.0.from (file "),
        ("[[models.m.prices]]\nfrom = 2026-01-01\n" * 2, "must not have two prices from the same day"),
        ("[models.m]\ninput_microusd_per_million = -1", "greater than or equal to 0"),
        ("[models.m]\nimages_microusd_per_million = 1_000_000_000_001", "less than or equal to 1000000000000"),
    ],
)
def test_a_price_that_cannot_be_read_is_refused_by_its_place(load_file: Load, text: str, reason: str) -> None:
    (problem,) = refused(load_file, text)

    assert reason in problem


def test_prices_are_explained_as_the_file_writes_them(load_file: Load) -> None:
    folder = load_file(FILE).home

    rows = {row.name: row for row in explain(load_with_origins({"LLM_BACKEND_CONFIG": "llm.toml"}, folder))}

    assert rows["models.m.prices"].value == [
        {"from": "2026-03-01", "input_microusd_per_million": 50},
        {"from": "2026-01-01", "reasoning_microusd_per_million": 70},
    ]
    assert rows["models.m.prices"].origin.kind == "file"

"""What a usage costs, and what it costs at most."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_backend.domain.usage import Price, Units, Usage
from llm_backend.domain.usage_reports import MOST_TOKENS


def test_a_started_microdollar_is_owed_once() -> None:
    price = Price(input_microusd=150_000, cached_input_microusd=75_000, output_microusd=600_000)

    # 10 at 0.15, 10 cached at 0.075, 1 at 0.6: 2.85 micro-dollars.
    assert price.of(Usage(20, 1, cached_tokens=10)) == 3


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_cost_is_never_less_than_the_exact_one_and_never_a_whole_more(
    prompt: int, cached: int, completion: int
) -> None:
    price = Price(input_microusd=1_250_001, cached_input_microusd=125_000, output_microusd=10_000_003)
    usage = Usage(prompt + cached, completion, cached_tokens=cached)

    exact_millionths = prompt * 1_250_001 + cached * 125_000 + completion * 10_000_003

    assert 0 <= price.of(usage) * 1_000_000 - exact_millionths < 1_000_000


RATES = st.integers(0, 10**9)
PRICES = st.builds(
    Price,
    input_microusd=RATES,
    output_microusd=RATES,
    images_microusd=RATES,
    seconds_microusd=RATES,
    characters_microusd=RATES,
    **dict.fromkeys(
        (
            "cached_input_microusd",
            "audio_input_microusd",
            "image_input_microusd",
            "reasoning_microusd",
            "audio_output_microusd",
        ),
        st.none() | RATES,
    ),
)
SOME = st.integers(0, 10**6)
SOLD = st.builds(Units, images=SOME, seconds=SOME, characters=SOME)


def test_pieces_cost_beside_the_tokens_and_all_is_rounded_up_once() -> None:
    price = Price(
        output_microusd=100_000,
        images_microusd=40_000_000_000,
        seconds_microusd=100_000_001,
        characters_microusd=15_100_000,
    )

    # 2 pictures at 40,000, 3 seconds at 100.000001, 4 characters at 15.1, 1 token at 0.1: 80360.500003 micro-dollars.
    assert price.of(Usage(9, 1, images=2, seconds=3, characters=4)) == 80_361
    assert price.most(9, 1, Units(images=2, seconds=3, characters=4)) == 80_361


def test_each_kind_has_a_price_or_that_of_its_side() -> None:
    usage = Usage(
        50,
        40,
        cached_tokens=10,
        reasoning_tokens=10,
        audio_prompt_tokens=10,
        audio_completion_tokens=10,
        image_prompt_tokens=10,
    )
    plain = Price(input_microusd=2 * 10**6, output_microusd=3 * 10**6)
    full = Price(
        input_microusd=10**6,
        cached_input_microusd=0,
        audio_input_microusd=2 * 10**6,
        image_input_microusd=3 * 10**6,
        output_microusd=4 * 10**6,
        reasoning_microusd=5 * 10**6,
        audio_output_microusd=6 * 10**6,
    )

    assert plain.of(usage) == 50 * 2 + 40 * 3
    assert full.of(usage) == 20 * 1 + 10 * 0 + 10 * 2 + 10 * 3 + 20 * 4 + 10 * 5 + 10 * 6


@settings(deadline=None)
@given(PRICES, st.tuples(SOME, SOME, SOME, SOME), st.tuples(SOME, SOME, SOME), st.tuples(SOME, SOME), SOLD)
def test_nothing_costs_more_than_the_most(
    price: Price, given: tuple[int, int, int, int], made: tuple[int, int, int], further: tuple[int, int], sold: Units
) -> None:
    usage = Usage(
        sum(given),
        sum(made),
        cached_tokens=given[0],
        audio_prompt_tokens=given[1],
        image_prompt_tokens=given[2],
        reasoning_tokens=made[0],
        audio_completion_tokens=made[1],
        **sold._asdict(),
    )

    assert 0 <= price.of(usage) <= price.most(sum(given) + further[0], sum(made) + further[1], sold)


@settings(deadline=None)
@given(PRICES, st.integers(0, 10**9), SOME, st.integers(1, 300), st.just(Units()) | SOLD)
def test_the_room_for_output_is_what_fits_and_not_one_token_less(
    price: Price, left: int, prompt: int, choices: int, sold: Units
) -> None:
    room = price.output_room(left, prompt, choices, sold)

    assert room == 0 or price.most(prompt, room * choices, sold) <= left
    assert room == MOST_TOKENS or price.most(prompt, (room + 1) * choices, sold) > left


@settings(deadline=None)
@given(PRICES)
def test_a_price_is_the_same_after_it_was_written_down(price: Price) -> None:
    assert Price.from_json(orjson.loads(orjson.dumps(price.as_json()))) == price

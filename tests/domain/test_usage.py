"""What an upstream reports, believed or not, and what it costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.domain.usage import MOST_TOKENS, Price, Usage
from llm_backend.errors import Json


def test_cached_and_reasoning_tokens_are_parts_of_the_whole() -> None:
    raw = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 80},
        "completion_tokens_details": {"reasoning_tokens": 500},
    }

    usage = Usage.reported(raw)

    assert usage == Usage(100, 50, cached_tokens=80, reasoning_tokens=50, raw=raw)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "12",
        {},
        {"prompt_tokens": None, "completion_tokens": 3},
        {"prompt_tokens": -1, "completion_tokens": 3},
        {"prompt_tokens": 1.5, "completion_tokens": 3},
        {"prompt_tokens": True, "completion_tokens": 3},
        {"prompt_tokens": 1, "completion_tokens": MOST_TOKENS},
        {"prompt_tokens": 1, "completion_tokens": "3"},
    ],
)
def test_a_usage_that_cannot_be_true_counts_as_missing(raw: Json) -> None:
    assert Usage.reported(raw) is None


def test_a_usage_of_zeros_is_a_report() -> None:
    assert Usage.reported({"prompt_tokens": 0, "completion_tokens": 0}) is not None


def test_embeddings_report_no_completion() -> None:
    usage = Usage.reported({"prompt_tokens": 7, "total_tokens": 7})

    assert usage is not None
    assert usage.completion_tokens == 0


def test_a_started_microdollar_is_owed_once() -> None:
    price = Price(input_microusd=150_000, cached_input_microusd=75_000, output_microusd=600_000)

    # 10 at 0.15, 10 cached at 0.075, 1 at 0.6: 2.85 micro-dollars.
    assert price.of(Usage(20, 1, cached_tokens=10)) == 3


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_cost_is_never_less_than_the_exact_one_and_never_a_whole_more(
    prompt: int, cached: int, completion: int
) -> None:
    price = Price(input_microusd=1_250_001, cached_input_microusd=125_000, output_microusd=10_000_003)
    usage = Usage(prompt + cached, completion, cached_tokens=cached)

    exact_millionths = prompt * 1_250_001 + cached * 125_000 + completion * 10_000_003

    assert 0 <= price.of(usage) * 1_000_000 - exact_millionths < 1_000_000

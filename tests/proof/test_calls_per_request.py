"""No change makes requests dearer unnoticed: calls are counted, which no other process disturbs, and not seconds."""

import os

import pytest

from tests.proof.counted_server import Counted
from tests.proof.counting import VERSION, committed, complaints, counted

FIGURES = {"a request": 1000}


@pytest.fixture(scope="module")
def figures() -> Counted:
    found = committed()
    if found is None and os.environ.get("CI") != "true":
        pytest.skip(f"no figures for Python {VERSION}: `make calls` writes them")
    assert found is not None, f"no figures for Python {VERSION}"
    return found


@pytest.fixture(scope="module")
def both(figures: Counted) -> list[Counted]:
    """What requests cost, and what they cost with calls planted."""
    return counted()


def test_requests_cost_what_they_cost_when_it_was_last_looked_at(both: list[Counted], figures: Counted) -> None:
    now, _ = both

    assert complaints(now, figures) == []


def test_calls_that_nobody_needs_are_seen_in_every_step(both: list[Counted]) -> None:
    now, planted = both

    assert len([said for said in complaints(planted, now) if "above" in said]) == len(now)


@pytest.mark.parametrize("calls", [900, 1100])
def test_a_tenth_more_or_less_passes(calls: int) -> None:
    assert complaints({"a request": calls}, FIGURES) == []


@pytest.mark.parametrize(("calls", "said"), [(1101, "above 1000"), (899, "below 1000"), (0, "below 1000")])
def test_a_call_beyond_a_tenth_is_told_with_its_figure(calls: int, said: str) -> None:
    (complaint,) = complaints({"a request": calls}, FIGURES)

    assert said in complaint


def test_a_step_without_a_figure_is_told_and_a_figure_without_a_step() -> None:
    assert len(complaints({"another": 1000}, FIGURES)) == 2

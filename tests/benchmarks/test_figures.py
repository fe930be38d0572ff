"""Medians, percentiles and slopes, and what is said of a target."""

import pytest

from benchmarks.figures import Figure, Target, percentile, slope


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(percent: float, value: int) -> None:
    assert percentile([*range(100, 0, -1)], percent) == value


def test_the_only_value_is_every_percentile() -> None:
    assert [percentile([7], percent) for percent in (1, 50, 99)] == [7, 7, 7]


def test_no_values_have_no_percentile() -> None:
    assert percentile([], 50) == 0


@pytest.mark.parametrize(
    ("values", "growth"), [([3, 5, 7, 9], 2), ([4, 4, 4], 0), ([1, 3, 2, 4, 3], 0.5), ([9], 0), ([], 0)]
)
def test_a_slope_is_the_growth_from_one_value_to_the_next(values: list[float], growth: float) -> None:
    assert slope(values) == pytest.approx(growth)


def test_one_round_out_of_line_does_not_move_a_figure() -> None:
    assert Figure("CPU", "a server", "x", (3.0, 90.0, 2.0)).median == 3.0


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(2.0, "must met, goal met"), (4.0, "must met, goal NOT MET"), (6.0, "must NOT MET, goal NOT MET")],
)
def test_a_verdict_says_which_target_is_met(value: float, verdict: str) -> None:
    assert Figure("CPU", "a server", "x", (value,), Target(must=5.5, goal=3.0)).verdict == verdict


def test_a_figure_of_which_nothing_is_asked_has_no_verdict() -> None:
    assert Figure("CPU", "a server", "ms", (1.0,)).verdict == ""

import random

import pytest

from llm_backend.errors import Overloaded, UpstreamBroken, UpstreamFailed, UpstreamTimedOut, UpstreamUnreachable
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.refusals import Refusals
from llm_backend.upstream.retries import Retries
from tests.clocks import SetClock


def longest(_low: float, high: float) -> float:
    return high


def broken() -> UpstreamBroken:
    return UpstreamBroken("500", retriable=True, upstream_status=500)


def test_two_retries_follow_a_server_error_each_after_a_longer_wait() -> None:
    retries = Retries(longest)

    delays = [retries.delay_before(broken(), attempt, remaining_seconds=60) for attempt in (1, 2, 3)]

    assert delays == [0.25, 0.5, None]


def test_after_the_last_retry_the_sdk_is_told_not_to_begin_again() -> None:
    error = broken()

    Retries().delay_before(error, 3, remaining_seconds=60)

    assert error.should_retry is False


def test_a_delay_is_drawn_between_half_and_whole() -> None:
    drawn: list[tuple[float, float]] = []

    def jitter(low: float, high: float) -> float:
        drawn.append((low, high))
        return low

    Retries(jitter).delay_before(broken(), 2, remaining_seconds=60)

    assert drawn == [(0.25, 0.5)]


@pytest.mark.parametrize(
    "error",
    [
        UpstreamTimedOut("late", outcome_unknown=True),
        UpstreamUnreachable("reset", outcome_unknown=True),
        Refusals().of(400, {}, b""),
        Refusals().of(429, {"retry-after": "6"}, b""),
        Refusals().of(429, {}, b""),
    ],
    ids=["timeout", "reset", "400", "429 in 6 s", "429 without a time"],
)
def test_what_could_cost_twice_or_last_long_is_not_tried_again(error: UpstreamFailed) -> None:
    told = error.should_retry

    assert Retries().delay_before(error, 1, remaining_seconds=60) is None
    assert error.should_retry is told


def test_an_upstream_that_asks_for_a_short_pause_gets_it() -> None:
    error = Refusals().of(429, {"retry-after": "3"}, b"")
    assert isinstance(error, UpstreamFailed)

    assert Retries(longest).delay_before(error, 1, remaining_seconds=60) == 3


def test_our_own_word_to_the_client_does_not_slow_our_retry() -> None:
    refused = UpstreamUnreachable("refused", retriable=True, retry_after_seconds=1)

    assert Retries(longest).delay_before(refused, 1, remaining_seconds=60) == 0.25


def test_no_retry_is_made_that_the_deadline_would_cut() -> None:
    error = broken()

    assert Retries(longest).delay_before(error, 1, remaining_seconds=0.25) is None
    assert error.should_retry is False


def attempts_made(requests: int, failing: float, seconds_between: float) -> int:
    """Ask as the domain does, of an upstream that fails `failing` of the time; the attempts that reached it."""
    clock = SetClock()
    circuit, retries = Circuit(clock.monotonic), Retries(longest)
    dice = random.Random(7)  # noqa: S311 (the same throws at every run)
    made = 0
    for _ in range(requests):
        clock.advance(seconds_between)
        for attempt in (1, 2, 3):
            try:
                admitted = circuit.admit()
            except Overloaded:
                break
            made += 1
            error = broken() if dice.random() < failing else None
            if error is None:
                admitted.succeeded()
                break
            admitted.failed(error)
            delay = retries.delay_before(error, attempt, remaining_seconds=60)
            if delay is None:
                break
            clock.advance(delay)
    return made


@pytest.mark.parametrize("seconds_between", [0.0, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("failing", [0.3, 0.5, 1.0])
def test_a_flapping_upstream_meets_no_storm(seconds_between: float, failing: float) -> None:
    assert attempts_made(1000, failing, seconds_between) <= 1200


def test_a_healthy_upstream_gets_each_request_once() -> None:
    assert attempts_made(1000, 0.0, 0.1) == 1000

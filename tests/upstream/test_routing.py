"""Whom of several to ask first, and whom after a failure."""

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from llm_backend.errors import (
    LLMBackendError,
    Overloaded,
    UpstreamBroken,
    UpstreamFailed,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.echo import Echo, EchoTransport
from llm_backend.upstream.models import Model
from llm_backend.upstream.refusals import Refusals
from llm_backend.upstream.resting import REST_SECONDS, Rests
from llm_backend.upstream.retries import Retries
from llm_backend.upstream.routing import Plan, Route, preferred
from llm_backend.upstream.upstream import Upstream
from tests.clocks import SetClock

MAIN, OTHER = Model("main", fallback=("other",)), Model("other")
REFUSED = UpstreamUnreachable("refused", retriable=True)
FULL = UpstreamBroken("full", upstream_status=503)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


def upstream(name: str, clock: SetClock) -> Upstream:
    counted = clock.monotonic
    made = Upstream(name, EchoTransport(Echo()), timeouts=Timeouts(), circuit=Circuit(counted), rests=Rests(counted))
    made.retries = Retries(lambda _least, most: most)
    return made


def route(upstream: Upstream, model: Model = MAIN) -> Route:
    return Route(upstream, model.name, "main", model)


def way(plan: Plan, *errors: LLMBackendError, seconds: float = 60) -> Iterator[str]:
    """The upstreams that are asked, each but the last answering with its error."""
    yield plan.route.upstream.name
    for error in errors:
        if plan.after(error, remaining_seconds=seconds) is None:
            yield "nobody"
            return
        yield plan.route.upstream.name


def limited(seconds: int) -> UpstreamFailed:
    return Refusals().of(429, {"retry-after": str(seconds)}, b"")


def test_the_same_model_elsewhere_goes_before_a_second_try_and_that_before_another_model(clock: SetClock) -> None:
    first, twin, other = (upstream(name, clock) for name in ("first", "twin", "other"))
    plan = Plan([route(first), route(twin), route(other, OTHER)])
    broken = UpstreamBroken("500", retriable=True, upstream_status=500)

    assert list(way(plan, broken, broken, broken, broken, broken)) == [
        "first",
        "twin",
        "twin",
        "twin",
        "other",
        "other",
    ]


@pytest.mark.parametrize(
    "error",
    [
        UpstreamTimedOut("late", outcome_unknown=True),
        UpstreamUnreachable("reset", outcome_unknown=True),
        Refusals().of(400, {}, b""),
    ],
    ids=["timeout", "reset", "400"],
)
def test_what_may_have_been_worked_on_goes_nowhere_else(error: UpstreamFailed, clock: SetClock) -> None:
    plan = Plan([route(upstream("first", clock)), route(upstream("second", clock))])

    assert list(way(plan, error)) == ["first", "nobody"]


def test_an_answer_that_began_in_vain_is_not_asked_for_again_there(clock: SetClock) -> None:
    cut = UpstreamUnreachable("cut", outcome_unknown=True)
    alone = Plan([route(upstream("first", clock))])
    plan = Plan([route(upstream("first", clock)), route(upstream("second", clock))])

    assert alone.after(cut, remaining_seconds=60, opened=True) is None
    assert plan.after(cut, remaining_seconds=60, opened=True) == 0
    assert plan.route.upstream.name == "second"


def test_after_the_deadline_nobody_is_asked(clock: SetClock) -> None:
    plan = Plan([route(upstream("first", clock)), route(upstream("second", clock))])

    assert list(way(plan, FULL, seconds=0)) == ["first", "nobody"]
    assert list(way(plan, Overloaded(), seconds=0)) == ["first", "nobody"]


def test_who_is_away_is_left_out_for_a_moment_and_asked_again_afterwards(clock: SetClock) -> None:
    first, second = upstream("first", clock), upstream("second", clock)

    assert list(way(Plan([route(first), route(second)]), REFUSED)) == ["first", "second"]
    assert Plan([route(first), route(second)]).route.upstream is second
    clock.advance(REST_SECONDS)
    assert Plan([route(first), route(second)]).route.upstream is first


def test_a_pause_that_was_asked_for_is_the_models_not_the_upstreams(clock: SetClock) -> None:
    first, second = upstream("first", clock), upstream("second", clock)
    list(way(Plan([route(first), route(second)]), limited(30)))

    assert Plan([route(first), route(second)]).route.upstream is second
    assert Plan([route(first, OTHER), route(second, OTHER)]).route.upstream is first
    clock.advance(30)
    assert Plan([route(first), route(second)]).route.upstream is first


def test_where_all_are_left_out_they_are_asked_all_the_same(clock: SetClock) -> None:
    first, second = upstream("first", clock), upstream("second", clock)
    list(way(Plan([route(first), route(second)]), limited(30), limited(30)))

    assert list(way(Plan([route(first), route(second)]), limited(30))) == ["first", "second"]


def test_an_open_circuit_is_passed_over_until_its_probe_is_due(clock: SetClock) -> None:
    first, second = upstream("first", clock), upstream("second", clock)
    for _ in range(20):
        first._circuit.admit().failed(FULL)

    assert Plan([route(first), route(second)]).route.upstream is second
    clock.advance(60)
    assert Plan([route(first), route(second)]).route.upstream is first


def test_weights_say_how_often_each_is_asked_first(clock: SetClock) -> None:
    light, heavy = route(upstream("light", clock)), route(upstream("heavy", clock))
    drawn = Counter(
        preferred([(light, 1), (heavy, 3)], lambda key=key: key)[0].upstream.name  # type: ignore[misc]
        for key in (str(number).encode() for number in range(2000))
    )
    by_chance = Counter(preferred([(light, 1), (heavy, 3)], lambda: None)[0].upstream.name for _ in range(2000))

    assert 1400 < drawn["heavy"] < 1600
    assert 1350 < by_chance["heavy"] < 1650


def test_a_key_stays_where_it_is_when_another_route_goes(clock: SetClock) -> None:
    routes = [(route(upstream(name, clock)), 1) for name in ("a", "b", "c")]
    keys = [str(number).encode() for number in range(200)]

    for key in keys:
        whole = preferred(routes, lambda key=key: key)  # type: ignore[misc]
        less = preferred([each for each in routes if each[0] is not whole[2]], lambda key=key: key)  # type: ignore[misc]
        assert less == whole[:2]


@pytest.mark.parametrize("failing", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("seconds_between", [0.0, 0.1, 1.0])
def test_no_storm_comes_of_upstreams_that_fail_in_turn(failing: float, seconds_between: float, clock: SetClock) -> None:
    # Row 29
    upstreams = [upstream(name, clock) for name in ("first", "second", "third")]
    dice = random.Random(7)  # noqa: S311 (the same throws at every run)
    made = 0
    for _ in range(1000):
        clock.advance(seconds_between)
        plan = Plan([route(upstreams[0]), route(upstreams[1]), route(upstreams[2], OTHER)])
        pause: float | None = 0.0
        while pause is not None:
            clock.advance(pause)
            error: LLMBackendError
            try:
                attempt = plan.route.upstream._circuit.admit()
            except Overloaded as refused:
                error = refused
            else:
                made += 1
                if dice.random() >= failing:
                    attempt.succeeded()
                    break
                error = UpstreamBroken("500", retriable=True, upstream_status=500)
                attempt.failed(error)
            pause = plan.after(error, remaining_seconds=60)

    assert made <= 1200

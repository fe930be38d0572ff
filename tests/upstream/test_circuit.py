import pytest

from llm_backend.errors import (
    LLMBackendError,
    Overloaded,
    UpstreamAuthFailed,
    UpstreamBroken,
    UpstreamInvalid,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.refusals import Refusals
from tests.clocks import SetClock


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def circuit(clock: SetClock) -> Circuit:
    return Circuit(clock.monotonic)


def fail(circuit: Circuit, times: int, error: LLMBackendError | None = None) -> None:
    for _ in range(times):
        circuit.admit().failed(error or UpstreamBroken("500"))


def refusal(circuit: Circuit) -> Overloaded:
    with pytest.raises(Overloaded) as caught:
        circuit.admit()
    return caught.value


@pytest.mark.parametrize(
    "error",
    [UpstreamUnreachable("x"), UpstreamTimedOut("x"), UpstreamBroken("x"), UpstreamAuthFailed(upstream_status=401)],
    ids=lambda error: type(error).__name__,
)
def test_twenty_faults_open_it(circuit: Circuit, error: LLMBackendError) -> None:
    fail(circuit, 19, error)
    assert circuit.state == "closed"

    fail(circuit, 1, error)

    assert circuit.state == "open"
    assert refusal(circuit).retry_after_seconds == 5
    assert circuit.last_error == error.code


@pytest.mark.parametrize("error", [Refusals().of(400, {}, b""), Refusals().of(429, {}, b""), UpstreamInvalid("x")])
def test_what_may_be_the_requests_own_doing_never_opens_it(circuit: Circuit, error: LLMBackendError) -> None:
    fail(circuit, 200, error)

    assert circuit.state == "closed"
    assert circuit.last_error is None


def test_fewer_than_half_failing_keep_it_closed(circuit: Circuit) -> None:
    for _ in range(100):
        circuit.admit().succeeded()
        circuit.admit().succeeded()
        fail(circuit, 1)

    assert circuit.state == "closed"


def test_half_failing_open_it(circuit: Circuit) -> None:
    for _ in range(10):
        circuit.admit().succeeded()
        fail(circuit, 1)

    assert circuit.state == "open"


def test_old_faults_are_forgotten(circuit: Circuit, clock: SetClock) -> None:
    fail(circuit, 19)
    clock.advance(31)
    fail(circuit, 1)

    assert circuit.state == "closed"


def test_one_probe_is_let_through_after_the_pause(circuit: Circuit, clock: SetClock) -> None:
    fail(circuit, 20)
    clock.advance(5)

    probe = circuit.admit()

    assert circuit.state == "half_open"
    refusal(circuit)
    probe.succeeded()
    assert circuit.state == "closed"
    assert circuit.last_error is None


def test_a_failed_probe_doubles_the_pause_up_to_a_minute(circuit: Circuit, clock: SetClock) -> None:
    fail(circuit, 20)
    pauses = []
    for _ in range(6):
        waiting = refusal(circuit).retry_after_seconds
        assert waiting is not None
        pauses.append(waiting)
        clock.advance(waiting)
        fail(circuit, 1)

    assert pauses == [5, 10, 20, 40, 60, 60]


def test_a_probe_whose_client_left_gives_its_place_to_the_next(circuit: Circuit, clock: SetClock) -> None:
    fail(circuit, 20)
    clock.advance(5)
    probe = circuit.admit()
    probe.abandoned()

    circuit.admit().succeeded()
    probe.abandoned()

    assert circuit.state == "closed"


def test_a_probe_that_hangs_does_not_hold_the_door_shut(circuit: Circuit, clock: SetClock) -> None:
    fail(circuit, 20)
    clock.advance(5)
    hanging = circuit.admit()
    clock.advance(5)

    circuit.admit().succeeded()
    hanging.failed(UpstreamTimedOut("late"))

    assert circuit.state == "closed"


def test_those_that_were_under_way_when_it_opened_change_nothing(circuit: Circuit) -> None:
    earlier = [circuit.admit(), circuit.admit()]
    fail(circuit, 20)

    earlier[0].succeeded()
    earlier[1].failed(UpstreamBroken("500"))

    assert circuit.state == "open"
    assert refusal(circuit).retry_after_seconds == 5


def test_answers_that_break_off_count_as_half_failed(circuit: Circuit) -> None:
    for _ in range(10):
        attempt = circuit.admit()
        attempt.succeeded()
        attempt.broke_off(UpstreamUnreachable("reset"))

    assert circuit.state == "open"


def test_only_the_first_end_of_an_attempt_counts(circuit: Circuit) -> None:
    attempt = circuit.admit()
    attempt.succeeded()
    for _ in range(100):
        attempt.failed(UpstreamBroken("500"))

    assert circuit.state == "closed"

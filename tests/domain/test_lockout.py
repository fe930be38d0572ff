"""Who guesses is not listened to for a minute, and nobody else suffers for it."""

import pytest

from llm_backend.domain.lockout import FAILURES, Lockout
from llm_backend.errors import RateLimited
from tests.clocks import SetClock

STRANGER = "203.0.113.9"


def guess(lockout: Lockout, address: str | None, times: int = FAILURES) -> None:
    for _ in range(times):
        lockout.note(address)


def is_locked(lockout: Lockout, address: str | None) -> bool:
    try:
        lockout.check(address)
    except RateLimited:
        return True
    return False


def test_after_ten_wrong_tokens_an_address_waits_for_the_rest_of_the_minute() -> None:
    clock = SetClock()
    lockout = Lockout(clock)
    guess(lockout, STRANGER, FAILURES - 1)
    clock.advance(20)
    assert not is_locked(lockout, STRANGER)

    lockout.note(STRANGER)

    with pytest.raises(RateLimited) as refused:
        lockout.check(STRANGER)
    assert refused.value.retry_after_seconds == 41
    clock.advance(41)
    assert not is_locked(lockout, STRANGER)
    lockout.note(STRANGER)
    assert not is_locked(lockout, STRANGER)


@pytest.mark.parametrize("other", ["203.0.113.10", "2001:db8::1", "127.0.0.1", "::1", "::ffff:127.0.0.1", None, "odd"])
def test_who_guesses_locks_nobody_else_out(other: str | None) -> None:
    lockout = Lockout(SetClock())

    guess(lockout, STRANGER)

    assert is_locked(lockout, STRANGER)
    assert not is_locked(lockout, other)


@pytest.mark.parametrize("near", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", None])
def test_this_machine_and_the_proxy_on_it_are_never_locked_out(near: str | None) -> None:
    lockout = Lockout(SetClock())

    guess(lockout, near, 3 * FAILURES)

    assert not is_locked(lockout, near)


def test_all_addresses_of_one_network_of_ipv6_count_as_one() -> None:
    lockout = Lockout(SetClock())

    for host in range(FAILURES):
        lockout.note(f"2001:db8:0:1::{host:x}")

    assert is_locked(lockout, "2001:db8:0:1:ffff::1")
    assert not is_locked(lockout, "2001:db8:0:2::1")


def test_an_address_of_ipv4_is_the_same_however_it_is_written() -> None:
    lockout = Lockout(SetClock())

    guess(lockout, f"::ffff:{STRANGER}")

    assert is_locked(lockout, STRANGER)


def test_memory_does_not_grow_with_the_addresses() -> None:
    lockout = Lockout(SetClock(), remembered=3)

    for host in range(9):
        lockout.note(f"203.0.113.{host}")

    assert len(lockout._failures) == 3

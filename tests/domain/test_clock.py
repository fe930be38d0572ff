"""Identifiers that sort by time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from llm_backend.domain.clock import SystemClock, uuid7


def test_an_attempt_id_is_a_uuid_of_version_7() -> None:
    made = UUID(uuid7(datetime.now(UTC)))

    assert made.version == 7
    assert made.variant == "specified in RFC 4122"


def test_ids_sort_by_the_millisecond_they_were_made_in() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = [uuid7(start + timedelta(milliseconds=number)) for number in range(50)]

    assert made == sorted(made)


def test_ids_of_one_millisecond_differ() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)

    assert len({uuid7(now) for _ in range(1000)}) == 1000


def test_the_system_clock_tells_utc_and_never_goes_back() -> None:
    clock = SystemClock()

    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()

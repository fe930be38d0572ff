"""Time, as an argument: tests bring their own."""

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is, in the two senses that this service needs."""

    def now(self) -> datetime:
        """The wall clock, in UTC: for what is written down."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back: for what has to end."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def uuid7(now: datetime) -> str:
    """A UUID of version 7 (RFC 9562): ordered by the millisecond of `now`, random after it."""
    milliseconds = int(now.timestamp() * 1000)
    random = secrets.randbits(74)
    value = (milliseconds << 80) | (0x7 << 76) | ((random >> 62) << 64) | (0b10 << 62) | (random & ((1 << 62) - 1))
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

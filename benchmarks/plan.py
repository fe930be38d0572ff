"""What a load generator is told, and what it tells: JSON on its standard input and output."""

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from benchmarks.answers import Stream


@dataclass(frozen=True, slots=True)
class Plan:
    """So many requests by so many connections at once, each with the next as soon as it is answered."""

    url: str
    """The API's, with its /v1."""
    keys: tuple[str, ...]
    """Used in turn."""
    connections: int
    requests: int
    warm_up: int = 0
    """Requests before those that count. Without any, connecting counts too."""
    stream: Stream | None = None
    watched: int | None = None
    """The process of the server, whose tree's CPU and memory are measured."""
    database: str | None = None
    """The name of its PostgreSQL database, whose processes' CPU is measured beside."""
    timeout_seconds: float = 120.0

    @classmethod
    def read(cls, text: bytes) -> "Plan":
        told: dict[str, Any] = orjson.loads(text)
        stream = told.pop("stream")
        return cls(**told | {"keys": tuple(told["keys"]), "stream": Stream(**stream) if stream else None})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a plan, its warm-up left out."""

    requests: int
    chunks: int
    """Pieces of text that came in good streams."""
    seconds: float
    p50_ms: float
    p99_ms: float
    """Until an answer was complete."""
    first_p50_ms: float
    first_p99_ms: float
    """Until the first piece of a stream; until the first byte of a whole answer's body."""
    cpu_ms: float
    """Of the server's processes."""
    database_cpu_ms: float
    resident_kib: tuple[int, int, int]
    """Of the server's processes: before the first request, once all connections were being answered, at the end."""
    failures: dict[str, int] = field(default_factory=dict)
    """How many answers were missing or wrong, by what was wrong, those of the warm-up included."""

    @property
    def answered(self) -> int:
        """As it should be."""
        return max(self.requests - sum(self.failures.values()), 0)

    @classmethod
    def read(cls, text: bytes) -> "Outcome":
        told: dict[str, Any] = orjson.loads(text)
        return cls(**told | {"resident_kib": tuple(told["resident_kib"])})


def written(what: Plan | Outcome) -> bytes:
    """As `read` takes it."""
    return orjson.dumps(asdict(what))

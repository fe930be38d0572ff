"""Figures of several rounds: their medians and bounds, and what is asked of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed; 0.0 of no values."""
    if not values:
        return 0.0
    rank = max(1, -(-len(values) * percent // 100))
    return sorted(values)[int(rank) - 1]


def slope(values: Sequence[float]) -> float:
    """How much they grow from one to the next: least squares; 0.0 of fewer than two."""
    if len(values) < 2:  # noqa: PLR2004 (a line has two points)
        return 0.0
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    rise = sum((place - middle) * (value - mean) for place, value in enumerate(values))
    return rise / sum((place - middle) ** 2 for place in range(len(values)))


@dataclass(frozen=True, slots=True)
class Target:
    """The most that a figure may be."""

    must: float | None = None
    goal: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured, once in each round."""

    what: str
    """As "CPU per request, 16 connections"."""
    whose: str
    """The server's name."""
    unit: str
    """"x" for a ratio to the bare relay in the same round."""
    rounds: tuple[float, ...]
    target: Target = Target()

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def is_ratio(self) -> bool:
        return self.unit == "x"

    @property
    def verdict(self) -> str:
        """Which of what is asked is met; empty where nothing is."""
        must, goal = self.target.must, self.target.goal
        said = [
            f"{name} {'met' if self.median <= limit else 'NOT MET'}"
            for name, limit in (("must", must), ("goal", goal))
            if limit is not None
        ]
        return ", ".join(said)

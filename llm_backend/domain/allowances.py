"""How much a key, an account or a model may ask of this server at once and per minute."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Allowance:
    """The three limits; None is no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None

    @property
    def is_any(self) -> bool:
        """Whether there is a limit among them."""
        return (
            self.requests_per_minute is not None
            or self.tokens_per_minute is not None
            or self.concurrent_requests is not None
        )

    def completed(self, other: Allowance) -> Allowance:
        """These, with those of `other` where there is none."""
        return other if not self.is_any else Allowance(*map(_first, astuple(self), astuple(other)))


NONE: Final = Allowance()


def _first(limit: int | None, other: int | None) -> int | None:
    return other if limit is None else limit

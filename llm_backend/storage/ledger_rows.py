"""What the ledger's statements find, by row."""

from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(slots=True)
class Sums:
    """A budget's current period, or one that is settled into: as it is locked, then as it will be."""

    id: int
    account_id: int
    subject: str
    token_limit: int | None
    microusd_limit: int | None
    used_tokens: int
    reserved_tokens: int
    used_microusd: int
    reserved_microusd: int
    warned_tokens: bool
    warned_microusd: bool
    starts_at: Any
    """As the driver gives it: a text on SQLite."""
    ends_at: Any
    is_current: bool
    budgets: int
    """How many budgets the account has, those of end users apart: each needs a current period."""

    @property
    def is_limited(self) -> bool:
        return self.token_limit is not None or self.microusd_limit is not None


class Budgeted(NamedTuple):
    """An end user's budget; `period_id` is its current period's, None where none was begun."""

    account_id: int
    subject: str
    period_id: int | None


class Standing(NamedTuple):
    """Whether a caller may still be served, as of now."""

    account_id: int
    key_id: str | None
    is_good: bool


class Reserved(NamedTuple):
    """A reservation, as it is locked to be settled."""

    attempt_id: str
    state: str
    account_period_id: int
    key_period_id: int | None
    model_period_id: int | None
    user_period_id: int | None
    reserved_tokens: int
    reserved_microusd: int

    @property
    def periods(self) -> list[int]:
        """Of end user, account, key and model, in this order."""
        every = (self.user_period_id, self.account_period_id, self.key_period_id, self.model_period_id)
        return [each for each in every if each is not None]


class Charged(NamedTuple):
    """What an attempt was charged already."""

    attempt_id: str
    kind: str
    basis: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    audio_prompt_tokens: int
    audio_completion_tokens: int
    image_prompt_tokens: int
    images: int
    seconds: int
    characters: int
    cost_microusd: int


class Abandoned(NamedTuple):
    """An open reservation whose owner is believed dead."""

    attempt_id: str
    account_id: int
    key_id: str | None
    state: str
    observed_prompt_tokens: int
    observed_completion_tokens: int
    details: bytes

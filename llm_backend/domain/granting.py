"""Whether a request may be served: decided on locked sums, for all ceilings together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from llm_backend.domain.usage import NO_UNITS, Price, Units
from llm_backend.errors import BudgetExhausted
from llm_backend.storage.ledger_rows import Sums

UNBOUNDED = 2**62

MOST = 2**50
"""More is never held back for one request: a column of sums has room for thousands of such."""


class Ask(NamedTuple):
    """What a request may cost at most, and what of it could be made to fit."""

    prompt_tokens: int
    """A true upper bound."""
    output_tokens: int
    """The most of one choice."""
    choices: int = 1
    least_output_tokens: int = 1
    """Below this it is refused: the same as `output_tokens` where the client named its cap."""
    price: Price | None = None
    overshoots: bool = False
    """Whether anything left admits it, whatever its answer may come to."""
    units: Units = NO_UNITS
    """What it may use of what is sold by the piece, all choices together."""

    def tokens(self, output_tokens: int) -> int:
        return min(MOST, self.prompt_tokens + self.choices * output_tokens)

    def microusd(self, output_tokens: int) -> int:
        if self.price is None:
            return 0
        return min(MOST, self.price.most(self.prompt_tokens, self.choices * output_tokens, self.units))


class Grant(NamedTuple):
    """What a request may use."""

    output_tokens: int
    """Of one choice."""
    reserved_tokens: int
    reserved_microusd: int
    is_bounded: bool
    """Whether any limit stands behind it."""


def grant(ask: Ask, ceilings: Sequence[Sums]) -> Grant:
    """What fits under every one of `ceilings`. Raises BudgetExhausted."""
    is_bounded = any(sums.is_limited for sums in ceilings)
    if ask.overshoots:
        return _overshooting(ask, ceilings, is_bounded=is_bounded)
    output = min(ask.output_tokens, *(_room(ask, sums, with_reserved=True) for sums in ceilings))
    if output < ask.least_output_tokens:
        raise _refusal(ask, ceilings)
    return Grant(output, ask.tokens(output), ask.microusd(output), is_bounded)


def is_whole(ask: Ask, granted: Grant) -> bool:
    """Whether all that was asked for is held back: where as much is left of each limit, it is, whatever else is."""
    tokens, microusd = ask.tokens(ask.output_tokens), ask.microusd(ask.output_tokens)
    same = granted[:3] == (ask.output_tokens, tokens, microusd)
    return same and tokens < MOST and microusd < MOST


def _overshooting(ask: Ask, ceilings: Sequence[Sums], *, is_bounded: bool) -> Grant:
    tokens = min(ask.tokens(ask.output_tokens), *(_left(sums.token_limit, _tokens(sums)) for sums in ceilings))
    microusd = min(ask.microusd(ask.output_tokens), *(_left(sums.microusd_limit, _money(sums)) for sums in ceilings))
    if tokens <= 0 or (microusd <= 0 < ask.microusd(ask.output_tokens)):
        raise _refusal(ask, ceilings)
    return Grant(ask.output_tokens, tokens, max(0, microusd), is_bounded)


def _refusal(ask: Ask, ceilings: Sequence[Sums]) -> BudgetExhausted:
    """Worth trying again only where nothing but running requests stands in the way."""
    least = 1 if ask.overshoots else ask.least_output_tokens
    waits = all(_room(ask, sums, with_reserved=False) >= least for sums in ceilings)
    if ask.overshoots:
        waits = all(
            _left(s.token_limit, s.used_tokens) > 0 < _left(s.microusd_limit, s.used_microusd) for s in ceilings
        )
    return BudgetExhausted(_told(ask, ceilings, waits=waits), waits=waits)


def _told(ask: Ask, ceilings: Sequence[Sums], *, waits: bool) -> str:
    """By the budget that has least room: what is needed, what is left, and when there may be more."""
    sums = min(ceilings, key=lambda each: _room(ask, each, with_reserved=True))
    least = 1 if ask.overshoots else ask.least_output_tokens
    needed, limit, taken = ask.tokens(least), sums.token_limit, _tokens(sums)
    held, unit = sums.reserved_tokens, "tokens"
    if limit is None or limit - taken >= needed:
        needed, limit, taken = ask.microusd(least), sums.microusd_limit, _money(sums)
        held, unit = sums.reserved_microusd, "micro-dollars"
    of = sums.subject.partition(":")[0] or "account"
    told = f"This request may come to {needed} {unit}; {max(0, (limit or 0) - taken)} of {limit} are left to this {of}."
    if waits:
        return f"{told} Requests that run now hold back {held}: try again in a moment."
    return f"{told} Its budget renews at {renews}." if (renews := _written(sums.ends_at)) else told


def _written(moment: Any) -> str | None:
    """The end of a period, as a driver gives it; None where there is none."""
    return f"{str(moment)[:16]} UTC" if moment is not None else None


def _room(ask: Ask, sums: Sums, *, with_reserved: bool) -> int:
    """Output tokens per choice that fit under one ceiling; negative where not even the prompt does."""
    left = _left(sums.token_limit, _tokens(sums) if with_reserved else sums.used_tokens)
    room = (left - ask.prompt_tokens) // ask.choices
    if ask.price is not None and sums.microusd_limit is not None:
        left = _left(sums.microusd_limit, _money(sums) if with_reserved else sums.used_microusd)
        fits = ask.price.most(ask.prompt_tokens, 0, ask.units) <= left
        room = min(room, ask.price.output_room(left, ask.prompt_tokens, ask.choices, ask.units) if fits else -1)
    return room


def _left(limit: int | None, taken: int) -> int:
    return UNBOUNDED if limit is None else limit - taken


def _tokens(sums: Sums) -> int:
    return sums.used_tokens + sums.reserved_tokens


def _money(sums: Sums) -> int:
    return sums.used_microusd + sums.reserved_microusd

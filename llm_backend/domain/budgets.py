"""Budgets: what of an account is bounded, in tokens and in money, and when it begins anew."""

from datetime import date, datetime
from itertools import pairwise
from typing import Any, TypedDict

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.periods import Span, span
from llm_backend.errors import InvalidRequest
from llm_backend.storage import budgets
from llm_backend.storage.accounts import WHOLE, Account
from llm_backend.storage.budgets import Budget, Period, Renewal

LIMITS = ("token_limit", "microusd_limit")
CLOSED = (0, 0)
"""The limits of a period outside of terms."""
MOST_CARRIED = 2**60
"""No column holds much more, and nobody uses as much."""
MOST_SKIPPED = 4000
"""Periods looked back over for what they carry: ten years of days."""
MOST_TERMS = 100


class Rules(TypedDict, total=False):
    """What a budget is; what is absent stays as it is, and is no limit that never renews in a new one."""

    token_limit: int | None
    microusd_limit: int | None
    renewal: Renewal
    carries_over: bool
    terms: list[str] | None


RULES = tuple(Rules.__annotations__)


def checked(rules: Rules) -> Rules:
    """`rules`, where they fit together. Raises InvalidRequest."""
    terms = rules.get("terms")
    if (rules.get("renewal") == "term") != bool(terms):
        raise InvalidRequest("Terms are told with the renewal term, and only with it.", param="terms")
    try:
        days = [date.fromisoformat(each) for each in terms or ()]
    except ValueError:
        raise InvalidRequest("A term begins on a date such as 2026-09-01.", param="terms") from None
    if days and not 1 < len(days) <= MOST_TERMS:
        raise InvalidRequest(f"Terms are 2 to {MOST_TERMS} dates: their first days, and the day after.", param="terms")
    if any(after <= before for before, after in pairwise(days)):
        raise InvalidRequest("Terms follow each other.", param="terms")
    return rules


async def begin(session: AsyncSession, account: Account, rules: Rules, now: datetime, subject: str = WHOLE) -> Budget:
    """A new budget, in its first period."""
    made = await budgets.add(session, account.id, subject, dict(checked(rules)), now)
    await open_current(session, account.time_zone, made, now)
    return made


async def change(session: AsyncSession, known: Budget, rules: Rules, now: datetime) -> set[str]:
    """The names of what changed. New limits hold at once; a new renewal begins a new period, or none were exact."""
    values: dict[str, Any] = {name: value for name, value in rules.items() if value != getattr(known, name)}
    if not values:
        return set()
    if "renewal" in values and values["renewal"] != "term":
        values.setdefault("terms", None)
    checked(Rules(**{name: values.get(name, getattr(known, name)) for name in ("renewal", "terms")}))  # type: ignore[typeddict-item]
    await budgets.change(session, known.id, values, now)
    current = await budgets.period_at(session, known.id, now)
    if current is None:
        return set(values)
    if "renewal" in values or "terms" in values:
        await budgets.change_period(session, current.id, {"ends_at": now.replace(microsecond=0)})
    elif (current.token_limit, current.microusd_limit) != CLOSED or (known.token_limit, known.microusd_limit) == CLOSED:
        limits = {
            name: _moved(getattr(current, name), getattr(known, name), values[name])
            for name in LIMITS
            if name in values
        }
        await budgets.change_period(session, current.id, limits)
    return set(values)


def _moved(limit: int | None, before: int | None, after: int | None) -> int | None:
    """A period's limit when its budget's changes: what was carried into it stays."""
    carried = limit - before if limit is not None and before is not None else 0
    return None if after is None else after + max(0, carried)


async def open_current(session: AsyncSession, zone_name: str, known: Budget, now: datetime) -> None:
    """Begin the period that `now` falls into, where nobody has: with what the last one left, if the budget carries."""
    if await budgets.period_at(session, known.id, now) is not None:
        return
    found = span(known.renewal, known.terms, zone_name, now)
    before = await budgets.periods(session, known.id)
    starts_at = found.starts_at
    if before and before[0].ends_at is not None:
        # Where the renewal or the zone was changed, a period begins in the middle of its span.
        starts_at = max(starts_at, before[0].ends_at)
    # One that ended in the moment in which it began, as where a renewal is changed twice, goes on as this one.
    empty = before.pop(0) if before and before[0].starts_at == starts_at else None
    # Outside of terms nothing may be used: what a term left is carried past that.
    last = next((each for each in before if (each.token_limit, each.microusd_limit) != CLOSED), None)
    values = {"starts_at": starts_at, "ends_at": found.ends_at, **_limits(known, found, last, zone_name)}
    if empty is None:
        await budgets.open_period(session, known, values)
    else:
        await budgets.change_period(session, empty.id, values)


def _limits(known: Budget, found: Span, last: Period | None, zone_name: str) -> dict[str, int | None]:
    if not found.is_open:
        return {"token_limit": 0, "microusd_limit": 0}
    own = {name: getattr(known, name) for name in LIMITS}
    if last is None or not known.carries_over or last.ends_at is None:
        return own
    skipped = _skipped(known, last.ends_at, found.starts_at, zone_name)
    return {
        "token_limit": _carried(known.token_limit, last.token_limit, last.used_tokens + last.reserved_tokens, skipped),
        "microusd_limit": _carried(
            known.microusd_limit, last.microusd_limit, last.used_microusd + last.reserved_microusd, skipped
        ),
    }


def _carried(limit: int | None, before: int | None, spent: int, skipped: int) -> int | None:
    """A new period's limit: its own, with what the last one and those in which nothing was asked left over."""
    if limit is None:
        return None
    return min(MOST_CARRIED, limit * (1 + skipped) + max(0, (before if before is not None else limit) - spent))


def _skipped(known: Budget, since: datetime, until: datetime, zone_name: str) -> int:
    """Whole periods between the last one and this: nothing was asked in them, so they have no row."""
    count = 0
    while since < until and count < MOST_SKIPPED:
        between = span(known.renewal, known.terms, zone_name, since)
        if between.ends_at is None or between.ends_at > until:
            break
        count += between.is_open
        since = between.ends_at
    return count

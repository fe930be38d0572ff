"""When budgets renew: at midnight in the account's own zone, told in UTC."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from llm_backend.errors import InvalidRequest
from llm_backend.storage.budgets import Renewal

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""From where a budget counts that never renews."""

DECEMBER = 12


@dataclass(frozen=True, slots=True)
class Span:
    """From the first moment to just before the last, in UTC; without a last one it never ends."""

    starts_at: datetime
    ends_at: datetime | None
    is_open: bool = True
    """Whether anything may be used in it: between terms nothing may."""


def zone(name: str) -> ZoneInfo:
    """The zone of that name. Raises InvalidRequest where the IANA database has none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidRequest("The time zone is none that the IANA database names.", param="time_zone") from None


def span(renewal: Renewal, terms: list[str] | None, zone_name: str, moment: datetime) -> Span:
    """The period that `moment` falls into."""
    place = zone(zone_name)
    today = moment.astimezone(place).date()
    match renewal:
        case "never":
            return Span(BEGINNING, None)
        case "day":
            first, next_first = today, today + timedelta(days=1)
        case "week":
            first = today - timedelta(days=today.weekday())
            next_first = first + timedelta(days=7)
        case "month":
            first = today.replace(day=1)
            next_first = _month_after(first)
        case "term":
            return _term([date.fromisoformat(each) for each in terms or ()], place, today)
    return Span(_midnight(first, place), _midnight(next_first, place))


def _term(firsts: list[date], place: ZoneInfo, today: date) -> Span:
    if not firsts or today >= firsts[-1]:
        return Span(_midnight(firsts[-1], place) if firsts else BEGINNING, None, is_open=False)
    if today < firsts[0]:
        return Span(BEGINNING, _midnight(firsts[0], place), is_open=False)
    first, after = next(pair for pair in pairwise(firsts) if pair[0] <= today < pair[1])
    return Span(_midnight(first, place), _midnight(after, place))


def _month_after(first: date) -> date:
    if first.month == DECEMBER:
        return first.replace(year=first.year + 1, month=1)
    return first.replace(month=first.month + 1)


def _midnight(day: date, place: ZoneInfo) -> datetime:
    """The first moment of a day: where a zone leaves midnight out, what its clocks then show comes out the same."""
    return datetime.combine(day, time(), place).astimezone(UTC)

"""What was used and what it cost: by account, key, user, model and day."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from llm_backend.domain.clock import Clock
from llm_backend.domain.snapshots import snapshot
from llm_backend.errors import InvalidRequest, Json
from llm_backend.storage import reports
from llm_backend.storage.database import Database
from llm_backend.storage.reports import SUMS, Grouping, Scope, Used, Values

__all__ = ["MOST_ROWS", "Grouping", "Period", "Report", "Reports", "Scope", "Used", "Wanted", "columns", "row"]

MOST_ROWS = 10_000
"""In one answer."""
CHUNK_ROWS = 1_000
"""Read at once, where rows go out as they are read."""
USUAL_DAYS = 30
MOST_ID = 2**53

NAMES: dict[Grouping, tuple[str, ...]] = {
    "account": ("account_id", "account_name"),
    "key": ("key_id",),
    "user": ("user",),
    "model": ("model",),
    "day": ("day",),
}
"""What a row says of each grouping."""


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days of UTC, both included; what is not said is up to today, and thirty days."""

    first: str | None = None
    last: str | None = None

    def days(self, today: date) -> tuple[date, date]:
        """The first and the last. Raises InvalidRequest."""
        last = today if self.last is None else _day(self.last, "to")
        usual = last - timedelta(days=min(USUAL_DAYS - 1, (last - date.min).days))
        first = usual if self.first is None else _day(self.first, "from")
        if first > last:
            raise InvalidRequest("'from' is after 'to'.", param="from")
        return first, last


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a report is to say."""

    groups: tuple[Grouping, ...]
    period: Period = Period()
    account_id: int | None = None
    """Whose; None for everyone's."""
    key_id: str | None = None
    user: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A page of one."""

    scope: Scope
    rows: list[Used]
    total: dict[str, int]
    """Of all pages."""
    has_more: bool


class Reports:
    """Reads; changes nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def scope(self, wanted: Wanted) -> Scope:
        """The days and whose they are. Raises InvalidRequest."""
        texts = {"key_id": wanted.key_id, "user": wanted.user, "model": wanted.model}
        for name, value in texts.items():
            if value is not None and not _is_storable(value):
                raise InvalidRequest(f"'{name}' holds what no name can.", param=name)
        first, last = wanted.period.days(self._clock.now().date())
        return Scope(first, last, account_id=wanted.account_id, **texts)

    async def page(self, wanted: Wanted, limit: int, after: list[Json] | None = None) -> Report:
        """The rows that come after the groups `after`, with the sum of all. Raises InvalidRequest."""
        scope = self.scope(wanted)
        passed = None if after is None else _passed(wanted.groups, after)
        return await self._database.detached(self._page(wanted.groups, scope, passed, limit))

    async def chunks(self, wanted: Wanted) -> AsyncIterator[list[Used]]:
        """All rows, some at a time; nobody is kept waiting in the database by a slow reader. Raises InvalidRequest."""
        scope, passed = self.scope(wanted), None
        while True:
            found = await self._database.detached(self._rows(wanted.groups, scope, passed, CHUNK_ROWS))
            if found:
                yield found
            if len(found) < CHUNK_ROWS:
                return
            passed = found[-1].values

    async def _page(self, groups: Sequence[Grouping], scope: Scope, after: Values | None, limit: int) -> Report:
        async with snapshot(self._database) as session:
            found = await reports.page(session, groups, scope, after, limit + 1)
            total = await reports.total(session, scope)
        return Report(scope, found[:limit], _with_total(total), len(found) > limit)

    async def _rows(self, groups: Sequence[Grouping], scope: Scope, after: Values | None, limit: int) -> list[Used]:
        async with self._database.reading() as session:
            return await reports.page(session, groups, scope, after, limit)


def columns(groups: Sequence[Grouping]) -> list[str]:
    """The names of what a row says, in order."""
    return [name for group in groups for name in NAMES[group]] + list(_with_total(dict.fromkeys(SUMS, 0)))


def row(groups: Sequence[Grouping], used: Used) -> dict[str, Json]:
    """One row by name; null for requests without a key, or that named no user."""
    found: dict[str, Json] = {}
    for group, value in zip(groups, used.values, strict=True):
        found[NAMES[group][0]] = value.isoformat() if isinstance(value, date) else None if value == "" else value
        if group == "account":
            found["account_name"] = used.account_name
    return found | _with_total(used.sums)


def _with_total(sums: dict[str, int]) -> dict[str, int]:
    rest = {name: value for name, value in sums.items() if name != "cost_microusd"}
    both = sums["prompt_tokens"] + sums["completion_tokens"]
    return rest | {"total_tokens": both, "cost_microusd": sums["cost_microusd"]}


def _day(text: str, param: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"'{param}' is no day such as 2026-03-01.", param=param) from None


def _passed(groups: Sequence[Grouping], after: list[Json]) -> Values:
    """The groups of a row that was read before. Raises InvalidRequest where they are none of such a report."""
    wrong = InvalidRequest("'after' is not the cursor of a report like this.", param="after")
    if len(after) != len(groups):
        raise wrong
    return tuple(_value(group, each, wrong) for group, each in zip(groups, after, strict=True))


def _value(group: Grouping, value: Json, wrong: InvalidRequest) -> int | str | date:
    if group == "account" and isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST_ID:
        return value
    if group == "account" or not isinstance(value, str) or not _is_storable(value):
        raise wrong
    try:
        return date.fromisoformat(value) if group == "day" else value
    except ValueError:
        raise wrong from None


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)

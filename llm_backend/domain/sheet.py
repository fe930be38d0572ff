"""The locked sums of one transaction, and what it moves."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import add, attrgetter, itemgetter, sub
from typing import Any

import orjson

from llm_backend.domain.entries import Balance
from llm_backend.errors import Json
from llm_backend.storage import usage
from llm_backend.storage.accounts import WHOLE
from llm_backend.storage.budgets import END_USER
from llm_backend.storage.ledger_rows import Sums
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.ledger_writes import SUMS, WARNED

EVENT_TYPE = "budget.soft_limit_reached"

ADDED = tuple(f"add_{name}" for name in SUMS)
DAILY = (*usage.DAY_OF, "requests", *DAILY_SUMS)

moving = attrgetter(*SUMS, *WARNED)
_counted = itemgetter(*DAILY_SUMS)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the ledger goes by."""

    owner: str
    """This process, by a name that no other has had."""
    lease_seconds: int
    soft_percent: int
    tells: bool
    """Whether a webhook is told when a soft limit is passed."""


class Sheet:
    """Sums as they will be when the transaction is committed."""

    def __init__(self, rows: Iterable[Sums], terms: Terms) -> None:
        self._terms = terms
        self._sums: dict[int, Sums] = {}
        self._before: dict[int, tuple[Any, ...]] = {}
        self._current: dict[int, dict[str, Sums]] = {}
        self._of_users: dict[tuple[int, str], Sums] = {}
        for row in rows:
            self._sums[row.id] = row
            self._before[row.id] = moving(row)
            if not row.is_current:
                continue
            if row.subject.startswith(END_USER):
                self._of_users[row.account_id, row.subject] = row
            else:
                self._current.setdefault(row.account_id, {})[row.subject] = row
        self._days: dict[tuple[Any, ...], list[int]] = {}
        self.events: list[dict[str, Any]] = []

    def ceilings(self, account_id: int, key_id: str | None, model: str, end_user: str | None) -> list[Sums] | None:
        """What bounds a request: end user, account, key, model, in this order.

        `end_user`: the subject of the end user's budget, where there is or has to be one. None where a budget has no
        current period.
        """
        current = self._current.get(account_id, {})
        if WHOLE not in current or len(current) != current[WHOLE].budgets:
            return None
        ceilings = [current[each] for each in (WHOLE, f"key:{key_id}", f"model:{model}") if each in current]
        if end_user is None:
            return ceilings
        of_user = self._of_users.get((account_id, end_user))
        return None if of_user is None else [of_user, *ceilings]

    def balance(self, periods: Sequence[int]) -> Balance:
        """How the first of `periods` that has a limit stands: of end user, account, key and model, in this order."""
        sums = self._sums[periods[0]]
        for each in periods:
            if self._sums[each].is_limited:
                sums = self._sums[each]
                break
        return Balance.of(sums, self._terms.soft_percent)

    def hold(self, period_id: int, tokens: int, microusd: int) -> None:
        """Add to what a period holds back; less than nothing lets go of it."""
        sums = self._sums[period_id]
        sums.reserved_tokens += tokens
        sums.reserved_microusd += microusd

    def use(self, period_id: int, tokens: int, microusd: int) -> None:
        """Add to what a period has used."""
        sums = self._sums[period_id]
        sums.used_tokens += tokens
        sums.used_microusd += microusd

    def warn(self, period_id: int, record: dict[str, Any]) -> None:
        """Note what soft limits are passed, of those that were not before; `record` has passed them."""
        sums = self._sums[period_id]
        if not sums.warned_tokens and self._is_near(sums.token_limit, sums.used_tokens):
            sums.warned_tokens = True
            self._tell(record, sums, "tokens", sums.token_limit, sums.used_tokens)
        if not sums.warned_microusd and self._is_near(sums.microusd_limit, sums.used_microusd):
            sums.warned_microusd = True
            self._tell(record, sums, "microusd", sums.microusd_limit, sums.used_microusd)

    def count(self, record: dict[str, Any]) -> None:
        """Add a record, as it is stored, to its day."""
        day, counted = usage.day(record), [int(record["kind"] == "charge"), *_counted(record)]
        known = self._days.get(day)
        self._days[day] = counted if known is None else list(map(add, known, counted))

    @property
    def sums(self) -> Collection[Sums]:
        """As they will be."""
        return self._sums.values()

    def moves(self) -> list[dict[str, Any]]:
        """What is added to each period's sums, in one order for everyone."""
        moved = []
        for period_id, sums in sorted(self._sums.items()):
            before, after = self._before[period_id], moving(sums)
            if after != before:
                added = dict(zip(ADDED, map(sub, after, before), strict=False))
                warned = {"now_warned_tokens": sums.warned_tokens, "now_warned_microusd": sums.warned_microusd}
                moved.append({"period": period_id, **added, **warned})
        return moved

    def days(self) -> list[dict[str, Any]]:
        return [dict(zip(DAILY, (*day, *sums), strict=True)) for day, sums in sorted(self._days.items())]

    def _is_near(self, limit: int | None, used: int) -> bool:
        return bool(limit) and used * 100 >= (limit or 0) * self._terms.soft_percent

    def _tell(self, record: dict[str, Any], sums: Sums, currency: str, limit: int | None, used: int) -> None:
        if self._terms.tells:
            period = {"starts_at": _seconds(sums.starts_at), "ends_at": _seconds(sums.ends_at)}
            self.events.append(_event(record, {"currency": currency, "limit": limit, "used": used, "period": period}))


def _seconds(moment: Any) -> int | None:
    """A moment as a driver gives it, in seconds since 1970."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return None if moment is None else int(moment.timestamp())


def _event(record: dict[str, Any], told: dict[str, Json]) -> dict[str, Any]:
    event_id = f"evt_{record['attempt_id']}_{told['currency']}"
    payload = {
        "id": event_id,
        "type": EVENT_TYPE,
        "created_at": int(record["ended_at"].timestamp()),
        "data": {"account_id": record["account_id"], **told},
    }
    return {"id": event_id, "account_id": record["account_id"], "payload": orjson.dumps(payload)}

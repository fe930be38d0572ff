"""The locked sums of one transaction, and what it moves."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from llm_backend.domain.entries import Balance
from llm_backend.errors import Json
from llm_backend.storage import usage
from llm_backend.storage.accounts import WHOLE
from llm_backend.storage.budgets import END_USER
from llm_backend.storage.ledger_rows import Sums
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.usage import UsageRecord

EVENT_TYPE = "budget.soft_limit_reached"


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
        self._sums = {row.id: row for row in rows}
        self._moved: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self._days: dict[tuple[Any, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.events: list[dict[str, Any]] = []

    def ceilings(self, account_id: int, key_id: str | None, model: str, end_user: str | None) -> list[Sums] | None:
        """What bounds a request: end user, account, key, model, in this order.

        `end_user`: the subject of the end user's budget, where there is or has to be one. None where a budget has no
        current period.
        """
        current = {
            sums.subject: sums
            for sums in self._sums.values()
            if sums.account_id == account_id and sums.is_current and _is_for(sums.subject, end_user)
        }
        missing = end_user is not None and end_user not in current
        if WHOLE not in current or missing or len(current) != current[WHOLE].budgets + (end_user is not None):
            return None
        subjects = (end_user, WHOLE, f"key:{key_id}", f"model:{model}")
        return [current[subject] for subject in subjects if subject in current]

    def balance(self, periods: Iterable[int]) -> Balance:
        """How the first of `periods` that has a limit stands: of end user, account, key and model, in this order."""
        every = [Balance.of(self._sums[each], self._terms.soft_percent) for each in periods]
        return next((each for each in every if each.tokens or each.microusd), every[0])

    def add(self, period_id: int | None, **amounts: int) -> None:
        """Add to sums of a period; `amounts` by column."""
        if period_id is None:
            return
        sums = self._sums[period_id]
        for name, amount in amounts.items():
            self._moved[period_id][name] += amount
        self._sums[period_id] = sums._replace(**{name: getattr(sums, name) + amounts[name] for name in amounts})

    def warn(self, period_id: int, name: str, event_id: str, record: UsageRecord) -> None:
        """Note that the soft limit of `name` (tokens or microusd) is passed, if it is and was not before."""
        sums = self._sums[period_id]
        limit, used = getattr(sums, f"{name}_limit".replace("tokens_", "token_")), getattr(sums, f"used_{name}")
        if not limit or getattr(sums, f"warned_{name}") or used * 100 < limit * self._terms.soft_percent:
            return
        self._moved[period_id][f"warned_{name}"] = 1
        self._sums[period_id] = sums._replace(**{f"warned_{name}": True})  # type: ignore[arg-type]
        if self._terms.tells:
            period = {"starts_at": _seconds(sums.starts_at), "ends_at": _seconds(sums.ends_at)}
            told = {"currency": name, "limit": limit, "used": used, "period": period}
            self.events.append(_event(event_id, record, told))

    def count(self, record: UsageRecord) -> None:
        """Add a record to its day."""
        sums = self._days[tuple(usage.day(record).items())]
        sums["requests"] += record.kind == "charge"
        for name in DAILY_SUMS:
            sums[name] += getattr(record, name)

    def moves(self) -> list[dict[str, Any]]:
        """What is added to each period's sums, in one order for everyone."""
        return [
            {
                "period": period_id,
                **{f"add_{name}": moved[name] for name in SUMS},
                **{f"now_{name}": bool(moved[name]) for name in WARNINGS},
            }
            for period_id, moved in sorted(self._moved.items())
        ]

    def days(self) -> list[dict[str, Any]]:
        return [
            {**dict(day), **{name: sums[name] for name in ("requests", *DAILY_SUMS)}}
            for day, sums in sorted(self._days.items())
        ]


def _is_for(subject: str, end_user: str | None) -> bool:
    """Whether the budget of `subject` matters where `end_user`'s is the only one of an end user that does."""
    return subject == end_user or not subject.startswith(END_USER)


SUMS = ("used_tokens", "reserved_tokens", "used_microusd", "reserved_microusd")
WARNINGS = ("warned_tokens", "warned_microusd")


def _seconds(moment: Any) -> int | None:
    """A moment as a driver gives it, in seconds since 1970."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    return None if moment is None else int(moment.timestamp())


def _event(event_id: str, record: UsageRecord, told: dict[str, Json]) -> dict[str, Any]:
    payload = {
        "id": event_id,
        "type": EVENT_TYPE,
        "created_at": int(record.ended_at.timestamp()),
        "data": {"account_id": record.account_id, **told},
    }
    return {"id": event_id, "account_id": record.account_id, "payload": orjson.dumps(payload)}

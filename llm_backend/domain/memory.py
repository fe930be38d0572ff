"""What this process remembers of the books. Others write too: it is to be asked whether it still holds."""

from collections.abc import Collection, Iterable
from operator import itemgetter
from typing import NamedTuple

from llm_backend.domain.entries import Entry, Reserve, attempt_of
from llm_backend.storage.budgets import END_USER
from llm_backend.storage.ledger_rows import Reserved, Sums
from llm_backend.storage.ledger_writes import Writes

MOST_KEPT = 100_000
"""Of periods and reservations. Where there are more, all is forgotten: each account is then looked at once more."""

_reserved = itemgetter(*Reserved._fields)


class Known(NamedTuple):
    """What is remembered of what some entries touch."""

    sums: list[Sums]
    reserved: dict[str, Reserved]


class Memory:
    """Sums as this process left them, and what it has reserved; nothing of end users' budgets, which may be many."""

    def __init__(self) -> None:
        self._sums: dict[int, Sums] = {}
        self._current: dict[int, list[int]] = {}
        """By account, the periods of all its budgets as of when something was last reserved."""
        self._reserved: dict[str, Reserved] = {}

    def take(self, entries: Iterable[Entry]) -> Known | None:
        """What `entries` touch, where all of it is known; that is forgotten until it is kept again."""
        periods: set[int] = set()
        reserved: dict[str, Reserved] = {}
        for entry in entries:
            own = self._touched(entry, reserved)
            if own is None:
                return None
            periods.update(own)
        if not self._sums.keys() >= periods:
            return None
        return Known([self._sums.pop(each) for each in periods], reserved)

    def keep(self, sums: Iterable[Sums], writes: Writes) -> None:
        """Remember `sums`, and what was written."""
        if len(self._sums) + len(self._reserved) > MOST_KEPT:
            self._sums, self._current, self._reserved = {}, {}, {}
        current: dict[int, list[Sums]] = {}
        for each in sums:
            if not each.subject.startswith(END_USER):
                self._sums[each.id] = each
                if each.is_current:
                    current.setdefault(each.account_id, []).append(each)
        for account_id, own in current.items():
            if len(own) == own[0].budgets:
                self._current[account_id] = [each.id for each in own]
        for row in writes.reservations:
            if row["state"] != "voided":
                self._reserved[row["attempt_id"]] = Reserved(*_reserved(row))
        for row in writes.closed:
            self._reserved.pop(row["attempt"], None)

    def _touched(self, entry: Entry, reserved: dict[str, Reserved]) -> Collection[int] | None:
        """The periods that an entry touches, and into `reserved` what it closes; None where they are not known."""
        if isinstance(entry, Reserve):
            return None if entry.end_user else self._current.get(entry.account_id)
        row = self._reserved.pop(attempt_of(entry), None)
        if row is None:
            return None
        reserved[row.attempt_id] = row
        return row.periods

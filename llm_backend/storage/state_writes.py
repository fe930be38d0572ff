"""The hot statements of what is kept of responses, compiled once for each database: steps of plans."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, Integer, Text, bindparam, delete, func, insert, select, update

from llm_backend.storage import lists
from llm_backend.storage.conversations import EXPIRED
from llm_backend.storage.driver import Hot, Step, Values
from llm_backend.storage.moments import db_now
from llm_backend.storage.responses import HAS_NOT_ENDED, LEASE_SECONDS
from llm_backend.storage.state_tables import conversation, item, response, response_event


class StateWrites:
    """Of one database. Each method gives a step of a plan."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite
        made = [each for each in conversation.c if each.name not in {"id", "name", "updated_at"}]
        self._conversation = self._hot(_inserted(conversation, made).returning(conversation.c.id))
        self._advance = self._hot(_advanced(only_from=False))
        self._advance_from = self._hot(_advanced(only_from=True))
        self._items = self._hot(_inserted(item, [each for each in item.c if each.name not in {"id", "updated_at"}]))
        self._response = self._hot(_inserted(response, _but(response.c, "id", "is_cancelled")).returning(response.c.id))
        self._end = self._hot(_ended())
        self._events = self._hot(_inserted(response_event, list(response_event.c)))
        self._no_events = self._hot(_deleted())
        self._keep_no_events = self._hot(_without_events())
        self._number = self._hot(select(response.c.id).where(*OWN))
        self._held = self._hot(_held())
        self._held_of = self._hot(_held_of(is_sqlite=is_sqlite))
        self._open = self._hot(_opened().returning(response.c.id))
        self._last_event = self._hot(select(func.max(response_event.c.last)).where(*_of_it()))

    def conversation(self, values: Mapping[str, Any]) -> Step:
        """A new one; its row is its number."""
        return self._conversation, {"parent_id": None, "parent_sequence": None, **values}

    def advance(self, account_id: int, number: int, count: int, only_from: int | None) -> Step:
        """Take so many places in a conversation; its row is the sequence behind them, there is none where it is gone.

        `only_from`: nor where the first of them is not this.
        """
        own = {"own": number, "of": account_id, "count": count}
        return (self._advance, own) if only_from is None else (self._advance_from, own | {"expected": only_from})

    def items(self, rows: Sequence[Values]) -> Step:
        """New items."""
        return self._items, list(rows)

    def response(self, values: Mapping[str, Any]) -> Step:
        """A new one; its row is its number."""
        return self._response, {**EMPTY, **values}

    def end(self, account_id: int, public_id: str, values: Mapping[str, Any]) -> Step:
        """Write that one has ended that was there before."""
        told = {f"new_{name}": values.get(name) for name in AT_ITS_END}
        return self._end, {"own": public_id, "of": account_id, **told}

    def events(self, values: Mapping[str, Any]) -> Step:
        """More of one's events."""
        return self._events, dict(values)

    def no_events(self, own: Mapping[str, Any]) -> Step:
        """Delete all of one's events."""
        return self._no_events, dict(own)

    def keep_no_events(self, own: Mapping[str, Any]) -> Step:
        """Note that none of one's events is kept any more."""
        return self._keep_no_events, dict(own)

    def number(self, account_id: int, public_id: str) -> Step:
        """Its row is one's number; there is none where that is not there."""
        return self._number, {"own": public_id, "of": account_id}

    def held(self, account_id: int, public_id: str, owner: str) -> Step:
        """There is a row where one is still made by `owner`: nobody else changes it before the transaction's end."""
        return self._held, {"own": public_id, "of": account_id, "maker": owner}

    def held_of(self, public_ids: Sequence[str], owner: str) -> Step:
        """As `held`, of some: of each that is, its rows are the id and the number."""
        return self._held_of, {"wanted": lists.written(public_ids, is_sqlite=self._is_sqlite), "maker": owner}

    def open(self, values: Mapping[str, Any]) -> Step:
        """A new one that is being made, by its `owner`; its row is its number."""
        return self._open, {**EMPTY, "lease": LEASE_SECONDS, **values}

    def events_of(self, rows: Sequence[Values]) -> Step:
        """More of the events of some."""
        return self._events, list(rows)

    def last_event(self, own: Mapping[str, Any]) -> Step:
        """Its row is the number of one's last event; None where there is none."""
        return self._last_event, dict(own)

    def _hot(self, statement: Any) -> Hot:
        return Hot(statement, is_sqlite=self._is_sqlite)


OWN = response.c.public_id == bindparam("own"), response.c.account_id == bindparam("of", type_=response.c.id.type)

AT_ITS_END = (
    *("status", "body", "ended_at", "request", "owner", "lease_until", "events_until"),
    *("conversation_id", "first_sequence", "output_sequence", "end_sequence", "attempt_id"),
)
"""What of a response is not known before."""

EMPTY = dict.fromkeys(
    (
        *("conversation_id", "first_sequence", "output_sequence", "end_sequence", "attempt_id"),
        *("request", "key_id", "owner", "lease_until", "ended_at", "events_until"),
    )
)


@cache
def state_writes(*, is_sqlite: bool) -> StateWrites:
    """The statements of a database, compiled at the first call."""
    return StateWrites(is_sqlite=is_sqlite)


def _but(columns: Iterable[Column[Any]], *names: str) -> list[Column[Any]]:
    return [each for each in columns if each.name not in names]


def _inserted(table: Any, columns: Sequence[Column[Any]]) -> Any:
    return insert(table).values({each.name: bindparam(each.name, type_=each.type) for each in columns})


def _advanced(*, only_from: bool) -> Any:
    own = conversation.c
    moved = update(conversation).where(
        own.id == bindparam("own", type_=own.id.type),
        own.account_id == bindparam("of", type_=own.id.type),
        own.kind != EXPIRED,
    )
    if only_from:
        moved = moved.where(own.next_sequence == bindparam("expected", type_=own.next_sequence.type))
    moved = moved.values(next_sequence=own.next_sequence + bindparam("count", type_=own.next_sequence.type))
    return moved.returning(own.next_sequence)


def _deleted() -> Any:
    return delete(response_event).where(*_of_it())


def _without_events() -> Any:
    bound = {name: bindparam(name, type_=response.c.id.type) for name in ("response_id", "account_id")}
    one = response.c.id == bound["response_id"], response.c.account_id == bound["account_id"]
    return update(response).where(*one).values(events_until=None)


def _of_it() -> list[Any]:
    names = "response_id", "account_id"
    return [response_event.c[name] == bindparam(name, type_=response.c.id.type) for name in names]


def _held_of(*, is_sqlite: bool) -> Any:
    these = lists.within(response.c.public_id, "wanted", Text, is_sqlite=is_sqlite)
    made = response.c.owner == bindparam("maker", type_=Text), HAS_NOT_ENDED
    # In one order for everyone: nobody waits crosswise.
    found = select(response.c.public_id, response.c.id).where(these, *made).order_by(response.c.id)
    return found.with_for_update()


def _opened() -> Any:
    columns = _but(response.c, "id", "is_cancelled", "lease_until")
    return _inserted(response, columns).values(lease_until=db_now(bindparam("lease", type_=Integer)))


def _held() -> Any:
    mine = response.c.owner == bindparam("maker"), HAS_NOT_ENDED
    return select(response.c.id).where(*OWN, *mine).with_for_update()


def _ended() -> Any:
    values = {name: bindparam(f"new_{name}", type_=response.c[name].type) for name in AT_ITS_END}
    return update(response).where(*OWN).values(values)

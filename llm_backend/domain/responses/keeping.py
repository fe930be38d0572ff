"""What is written of a response, in the transaction that settles the attempt that made it."""

from collections.abc import Generator, Mapping
from typing import Any

import orjson

from llm_backend.domain.items import rows
from llm_backend.domain.public_ids import public_id
from llm_backend.domain.responses.draft import Draft
from llm_backend.domain.responses.recording import Recorder
from llm_backend.errors import Json
from llm_backend.storage import responses
from llm_backend.storage.conversations import THREAD
from llm_backend.storage.driver import Plan, Rows, Step
from llm_backend.storage.state_writes import StateWrites

APART = frozenset({"id", "output", "metadata", "status"})
"""What of a response is not in its body: the rest of its row says it, or its items do."""


class Keeping:
    """Writes one response. Its items come last in what it goes on from, or begin something new."""

    def __init__(self, draft: Draft, account_id: int, writes: StateWrites, recorder: Recorder | None = None) -> None:
        """`recorder`: of one whose events are kept."""
        self._draft = draft
        self._account_id = account_id
        self._writes = writes
        self._recorder = recorder

    def __call__(self, attempt_id: str | None, told: Json) -> Plan[None]:
        """Once it has ended: the steps that write it. `attempt_id`: None where nothing was answered."""
        draft = self._draft
        is_stored = draft.is_stored and (yield from self._is_ours())
        is_answered = attempt_id is not None
        if not is_stored and not (is_answered and draft.before.is_public):
            return
        spans = yield from self.items(attempt_id)
        if spans and is_stored:
            if is_answered and self._is_elsewhere(spans["conversation_id"]):
                # It was deleted while this was made.
                told = {**told, "conversation": None}
            yield from self._end({**ended(draft, told), **spans, "attempt_id": attempt_id})

    def items(self, attempt_id: str | None) -> Plan[dict[str, Any]]:
        """The steps that write what it was given and says; the columns that say where: none where nothing is kept."""
        draft = self._draft
        count = len(draft.given) + len(draft.items)
        place = yield from self._place(count, is_answered=attempt_id is not None)
        if place is None:
            return {}
        conversation_id, first = place
        output = first + len(draft.given)
        if count:
            own = self._account_id, conversation_id
            given = rows(draft.given, (*own, first), draft.created_at)
            yield self._writes.items([*given, *rows(draft.items, (*own, output), draft.created_at, attempt_id)])
        return {
            "conversation_id": conversation_id,
            "first_sequence": first,
            "output_sequence": output,
            "end_sequence": first + count,
        }

    def _is_elsewhere(self, conversation_id: int) -> bool:
        """Whether that is not the conversation that its client named."""
        where = self._draft.before.conversation
        return self._draft.before.is_public and where is not None and where.id != conversation_id

    def _end(self, values: Mapping[str, Any]) -> Generator[Step, Rows, None]:
        """Write that it has ended, and the last of its events."""
        recorder = self._recorder
        values = {**values, "events_until": recorder.events_until if recorder else None}
        number = recorder.number if recorder else None
        if number is None:
            [(number,)] = yield self._writes.response({**opened(self._draft, self._account_id), **values})
        else:
            yield self._writes.end(self._account_id, self._draft.id, values)
        if recorder is not None:
            yield from recorder.kept(self._writes, number)

    def _is_ours(self) -> Generator[Step, Rows, bool]:
        return self._recorder is None or (yield from self._recorder.is_ours(self._writes))

    def _place(self, count: int, *, is_answered: bool) -> Generator[Step, Rows, tuple[int, int] | None]:
        """The conversation that so many items are written to, and the sequence of the first; None where to none."""
        draft, account_id = self._draft, self._account_id
        where, end = draft.before.conversation, draft.before.end
        is_open = where is not None and (is_answered if draft.before.is_public else where.kind == THREAD)
        if where is not None and is_open:
            # Where somebody else went on from the same place meanwhile, this is another branch.
            only_from = None if draft.before.is_public else end
            found = yield self._writes.advance(account_id, where.id, count, only_from)
            if found:
                return where.id, int(found[0][0]) - count
        if not draft.is_stored:
            return None
        values: dict[str, Any] = {
            "public_id": public_id("conv"),
            "account_id": account_id,
            "kind": THREAD,
            "settings": b"{}",
            "created_at": draft.created_at,
            "next_sequence": count,
        }
        if where is not None:
            values |= {"parent_id": where.public_id, "parent_sequence": end}
        [(number,)] = yield self._writes.conversation(values)
        return int(number), 0


def opened(draft: Draft, account_id: int) -> dict[str, Any]:
    """The columns of a response that do not change."""
    return {
        "public_id": draft.id,
        "account_id": account_id,
        "kind": responses.RESPONSE,
        "is_stored": draft.is_stored,
        "model": draft.request["model"],
        "metadata": draft.request.get("metadata") or {},
        "created_at": draft.created_at,
    }


def ended(draft: Draft, told: Mapping[str, Json]) -> dict[str, Any]:
    """The columns that say how it ended."""
    return {
        "status": draft.outcome.status,
        "body": body(told),
        "ended_at": draft.ended_at,
        **responses.LET_GO,
    }


def body(told: Mapping[str, Json]) -> bytes:
    """What of a response is kept in its row's body."""
    return orjson.dumps({name: value for name, value in told.items() if name not in APART})

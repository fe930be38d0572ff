"""A chat completion on its way into the database: written in the transaction that settles its attempt."""

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import items
from llm_backend.domain.clock import Clock
from llm_backend.domain.completions.messages import Given, items_of, items_said, message_of
from llm_backend.domain.public_ids import public_id
from llm_backend.errors import Json
from llm_backend.storage import completions, conversations, responses
from llm_backend.storage import items as stored_items

ID_PREFIX = "chatcmpl-"

CUT = frozenset({"length", "content_filter"})
"""Why an answer ends that says not all it would have said."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is kept of a request, with its answer."""

    account_id: int
    answer_id: str
    model: str
    """As it was asked for."""
    messages: list[dict[str, Json]]
    metadata: dict[str, str]


class Written:
    """Writes one completion."""

    def __init__(self, asked: Asked, clock: Clock) -> None:
        self._asked = asked
        self._clock = clock

    @property
    def answer_id(self) -> str:
        """Under which the client finds it."""
        return self._asked.answer_id

    async def keep(self, session: AsyncSession, attempt_id: str, completion: Json) -> None:
        """The completion, what it was asked, and what it is found by: one transaction with its charge."""
        await completions.add(session, await self.columns(session, attempt_id, completion))

    async def columns(self, session: AsyncSession, attempt_id: str | None, completion: Json) -> dict[str, Any]:
        """Write what it was asked and answered; the columns of its row."""
        now, asked = self._clock.now(), self._asked
        told, said = parted(completion)
        given = items_of(asked.messages)
        is_cut = any(item.get("status") == "incomplete" for item in said)
        whole = [*given, *map(Given, said)]
        talk = {"public_id": public_id("conv"), "settings": orjson.dumps({}), "next_sequence": len(whole)}
        kept = await conversations.add(session, asked.account_id, conversations.COMPLETION, {**talk, "created_at": now})
        rows = items.rows([each.item for each in whole], (asked.account_id, kept.id, 0), now)
        for at, (row, each) in enumerate(zip(rows, whole, strict=True)):
            row["details"] = each.details or row["details"]
            row["attempt_id"] = attempt_id if at >= len(given) else None
        await stored_items.add(session, rows)
        return {
            "public_id": asked.answer_id,
            "account_id": asked.account_id,
            "kind": responses.COMPLETION,
            "is_stored": True,
            "status": "incomplete" if is_cut else "completed",
            "model": asked.model,
            "conversation_id": kept.id,
            "first_sequence": 0,
            "output_sequence": len(given),
            "end_sequence": len(whole),
            "body": orjson.dumps({"created": int(now.timestamp()), "model": asked.model, **told}),
            "metadata": asked.metadata,
            "attempt_id": attempt_id,
            "created_at": now,
            "ended_at": now,
        }


def parted(completion: Json) -> tuple[dict[str, Json], list[dict[str, Json]]]:
    """A completion without what the items of its first message say, and those items; it may hold anything."""
    body = {**completion, "object": "chat.completion"}
    first, *others = body.get("choices") or [None]
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(message, dict):
        return body, []
    status = "incomplete" if first.get("finish_reason") in CUT else "completed"
    said = items_said({**message, "role": "assistant"}, status)
    known = message_of(said)
    further = {name: value for name, value in message.items() if name not in known or known[name] != value}
    # What is said in another field than it was is not said twice.
    further |= {name: None for name in known if name not in message and name != "role"}
    return {**body, "choices": [{**first, "message": further}, *others]}, said


def joined(body: dict[str, Json], said: list[dict[str, Json]]) -> dict[str, Json]:
    """What `parted` made two of."""
    if not said:
        return body
    first, *others = body["choices"]
    return {**body, "choices": [{**first, "message": {**message_of(said), **first["message"]}}, *others]}


def kept_item(row: stored_items.Item) -> Given:
    """An item as it was kept."""
    details: dict[str, Any] = orjson.loads(row.details) if row.details else {}
    content = orjson.loads(row.content)
    if row.kind != "message":
        return Given({"id": row.public_id, **content}, details.get("as_given"))
    said = {"id": row.public_id, "type": "message", "status": row.status, "role": row.role, "content": content}
    return Given(said, details.get("as_given"))

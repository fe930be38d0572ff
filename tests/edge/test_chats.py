"""Messages as clients of `/api` read them."""

from datetime import UTC, datetime

import orjson
import pytest

from llm_backend.edge.chats import message
from llm_backend.errors import Json
from llm_backend.storage.items import Item

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def kept(role: str, details: Json, charged: tuple[int | None, int | None]) -> Item:
    """A message, with what the ledger knows of it."""
    return Item(
        id=7,
        public_id="msg_7",
        conversation_id=3,
        account_id=1,
        kind="message",
        role=role,
        status="completed",
        content=b'"hello"',
        details=None if details is None else orjson.dumps(details),
        sequence=0,
        attempt_id=None,
        upstream_id=None,
        created_at=NOON,
        updated_at=NOON,
        prompt_tokens=charged[0],
        completion_tokens=charged[1],
    )


ELSEWHERE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


@pytest.mark.parametrize(
    ("role", "details", "charged", "usage"),
    [
        ("assistant", {"model_args": {}}, (4, 5), {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}),
        ("user", None, (4, 5), {}),
        # Taken over from elsewhere, where it was charged.
        ("assistant", {"usage": ELSEWHERE, "model_args": {}}, (None, None), ELSEWHERE),
        ("assistant", {"usage": {}, "model_args": {}}, (None, None), {}),
    ],
)
def test_an_answer_alone_tells_what_it_cost(role: str, details: Json, charged: tuple[int, int], usage: Json) -> None:
    assert message(kept(role, details, charged)) == {
        "id": 7,
        "created_at": "2026-03-01 12:00:00",
        "updated_at": "2026-03-01 12:00:00",
        "content": "hello",
        "role": role,
        "chat_id": 3,
        "model_args": {},
        "usage": usage,
    }

"""Of a chat as much is read as its model reads, and what is sent is what would be sent had all of it been read."""

from datetime import UTC, datetime

import orjson
import pytest

from llm_backend.domain.histories import Continuation, Form, Line, Messages, Sizes, Turn, turns
from llm_backend.domain.recall import FIRST_LINES, recall
from llm_backend.storage import accounts, conversations, items
from llm_backend.storage.conversations import CHAT, Conversation
from llm_backend.storage.database import Database

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TEXT = Continuation({"system": "To do: ", "user": "Q: ", "assistant": "A: "})
NEW: Turn = (Line("user", "and now?"),)
ROLES = ("system", "user", "assistant", "user", "assistant")
"""Turns of three lines and of two: no page ends where a turn does for long."""


async def a_chat(database: Database, lines: int) -> tuple[Conversation, list[Line]]:
    """A chat with so many lines, and these."""
    said = [Line(ROLES[number % 5], f"line {number} " + "x" * (number * 7 % 50)) for number in range(lines)]
    async with database.begin() as session:
        account = await accounts.add(session, "alice", NOW)
        made = await conversations.add(
            session, account.id, CHAT, {"public_id": "conv_1", "name": "", "settings": b"{}", "created_at": NOW}
        )
        usual = {"conversation_id": made.id, "account_id": account.id, "kind": "message", "status": "completed"}
        rows = [
            usual
            | {"public_id": f"msg_{number}", "role": line.role, "content": orjson.dumps(line.content)}
            | {"sequence": number, "created_at": NOW}
            for number, line in enumerate(said)
        ]
        await items.add(session, rows)
        await conversations.advance(session, account.id, made.id, lines)
        found = await conversations.find(session, account.id, CHAT, made.id)
    assert found is not None
    return found, said


@pytest.mark.parametrize("form", [Messages(), TEXT])
async def test_what_is_sent_is_what_would_be_sent_of_all(database: Database, form: Form) -> None:
    chat, said = await a_chat(database, 301)

    async with database.reading() as session:
        for context in (1, 60, 150, 700, 1_500, 1_501, 6_000, 20_000, 10**6):
            sizes = Sizes(context, None)
            read = await recall(session, chat, form, form.room(NEW, None, sizes))

            assert form.fitting(turns(read), NEW, None, sizes) == form.fitting(turns(said), NEW, None, sizes)


async def test_what_was_added_in_parts_is_read_as_a_text_and_what_is_no_message_is_not(database: Database) -> None:
    chat, said = await a_chat(database, 3)
    parts = [{"type": "input_text", "text": "Be "}, {"type": "input_image", "image_url": "x"}, {"text": "kind"}]
    usual = {"conversation_id": chat.id, "account_id": chat.account_id, "status": "completed", "created_at": NOW}
    message = {"public_id": "msg_parts", "kind": "message", "role": "developer", "content": orjson.dumps(parts)}
    call = {"public_id": "fc_1", "kind": "function_call", "role": None, "content": b"{}"}
    async with database.begin() as session:
        await items.add(session, [usual | call | {"sequence": 3}, usual | message | {"sequence": 4}])
        await conversations.advance(session, chat.account_id, chat.id, 2)
        found = await conversations.find(session, chat.account_id, CHAT, chat.id)
    assert found is not None

    async with database.reading() as session:
        read = await recall(session, found, Messages(), None)

    assert read == [*said, Line("system", "Be kind")]


async def test_of_a_long_chat_no_more_is_read_than_some_of_what_does_not_fit(database: Database) -> None:
    chat, said = await a_chat(database, 2_000)

    async with database.reading() as session:
        some = await recall(session, chat, Messages(), 5_000)
        none = await recall(session, chat, Messages(), -1)
        page = await items.said_before(session, chat.account_id, chat.id, 1_000, FIRST_LINES)

    assert none == []
    assert some == said[-len(some) :]
    fitting = Messages().fitting(turns(said), (), 1, Sizes(5_001, None))
    assert len(fitting) < len(some) <= 2 * len(fitting) + FIRST_LINES
    assert [each.sequence for each in page] == list(range(999, 999 - FIRST_LINES, -1))


async def test_where_the_context_is_not_known_all_is_read(database: Database) -> None:
    chat, said = await a_chat(database, 100)

    async with database.reading() as session:
        assert await recall(session, chat, Messages(), None) == said


async def test_of_another_accounts_chat_nothing_is_read(database: Database) -> None:
    chat, _ = await a_chat(database, 10)

    async with database.reading() as session:
        assert await items.said_before(session, chat.account_id + 1, chat.id, 10, None) == []

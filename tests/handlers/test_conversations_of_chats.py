"""One store, two views: a chat is a conversation by its public id."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from llm_backend.storage.invariants import violations
from llm_backend.storage.state_tables import conversation
from tests.handlers.chatting import Student, chatting
from tests.handlers.conversing import Talker, says, texts
from tests.serving import Running


@pytest.fixture
async def student(running: Running) -> AsyncIterator[Student]:
    async with chatting(running) as client:
        yield client


async def public_id_of(running: Running, chat: int) -> str:
    async with running.database.reading() as session:
        found = await session.execute(select(conversation.c.public_id).where(conversation.c.id == chat))
        return str(found.scalar_one())


async def test_a_chat_is_read_as_a_conversation(running: Running, student: Student, talker: Talker) -> None:
    chat = await student.chat()
    await student.ask(chat, "Hello", instruction="Be brief")
    talk = await public_id_of(running, chat)

    found = await talker.ask("GET", f"/{talk}")
    said = await talker.items(talk, order="asc")

    assert (found["id"], found["metadata"]) == (talk, {})
    assert [each["role"] for each in said] == ["system", "user", "assistant"]
    assert texts(said) == ["Be brief", "Hello", "Hello"]
    assert await talker.ask("GET", f"/{talk}/items/{said[2]['id']}") == said[2]
    assert await talker.items(talk, order="asc", after=said[1]["id"]) == said[2:]


async def test_a_chat_goes_on_with_what_was_added_to_the_conversation(
    running: Running, student: Student, talker: Talker
) -> None:
    chat = await student.chat()
    talk = await public_id_of(running, chat)
    parts = [{"type": "input_text", "text": "My name "}, {"type": "input_text", "text": "is Ada."}]

    await talker.add(talk, says("Be kind", "developer"), {"role": "user", "content": parts}, says("Hello", "assistant"))
    told = await student.ask(chat, "And now?")

    assert await student.said(chat) == [
        ("system", "Be kind"),
        ("user", "My name is Ada."),
        ("assistant", "Hello"),
        ("user", "And now?"),
        ("assistant", told["content"]),
    ]
    assert await student.get(f"/{chat}/num_messages") == {"num_messages": 5}
    assert texts(await talker.items(talk, limit=2)) == [told["content"], "And now?"]


async def test_metadata_of_a_chat_are_its_conversations_alone(
    running: Running, student: Student, talker: Talker
) -> None:
    chat = await student.chat()
    before = await student.get()
    talk = await public_id_of(running, chat)

    changed = await talker.ask("POST", f"/{talk}", {"metadata": {"model_type": "trees"}})

    assert changed["metadata"] == {"model_type": "trees"}
    assert [each | {"updated_at": None} for each in await student.get()] == before
    assert (await student.ask(chat, "Hello"))["content"] == "Hello"


async def test_a_chat_loses_no_message_and_takes_nothing_else(
    running: Running, student: Student, talker: Talker
) -> None:
    chat = await student.chat()
    await student.ask(chat, "Hello")
    talk = await public_id_of(running, chat)
    [answer, _] = await talker.items(talk)
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}

    refused = [
        await talker.refused("DELETE", f"/{talk}/items/{answer['id']}"),
        await talker.refused("POST", f"/{talk}/items", {"items": [says("more"), call]}),
    ]

    assert refused == [("invalid_value", "item_id"), ("invalid_value", "items[1].type")]
    assert await student.said(chat) == [("user", "Hello"), ("assistant", "Hello")]


async def test_a_chat_is_deleted_whole_as_a_conversation(running: Running, student: Student, talker: Talker) -> None:
    chat, other = await student.chat("one"), await student.chat("two")
    await student.ask(chat, "secret")
    await student.ask(other, "Hello")

    await talker.ask("DELETE", f"/{await public_id_of(running, chat)}")

    assert [each["id"] for each in await student.get()] == [other]
    assert await student.get(f"/{chat}/messages", status=404) == {"error": f"Chat with id {chat} does not exist"}
    assert await student.said(other) == [("user", "Hello"), ("assistant", "Hello")]


async def test_of_a_response_in_a_chat_its_messages_are_the_chats(
    running: Running, student: Student, talker: Talker
) -> None:
    chat = await student.chat()
    await student.ask(chat, "one")
    talk = await public_id_of(running, chat)
    tools = [{"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}]
    asked = {"model": "echo", "input": "[[tool get_weather]] two", "conversation": talk, "tools": tools}

    answer = await talker.client.post("/responses", json=asked)
    await running.quiet()

    assert answer.status_code == 200, answer.text
    assert [each["type"] for each in await talker.items(talk, order="asc")] == [*["message"] * 3, "function_call"]
    assert [role for role, _ in await student.said(chat)] == ["user", "assistant", "user"]
    assert await student.get(f"/{chat}/num_messages") == {"num_messages": 3}
    assert (await student.ask(chat, "three"))["content"] == "three"
    async with running.database.reading() as session:
        assert await violations(session) == []


async def test_a_chat_is_found_by_the_number_that_its_client_knows(student: Student, talker: Talker) -> None:
    chat = await student.chat()
    await student.ask(chat, "Hello")

    found = await talker.ask("GET", f"/{chat}")

    assert texts(await talker.items(str(chat), order="asc")) == ["Hello", "Hello"]
    assert found == await talker.ask("GET", f"/{found['id']}")


async def test_a_response_goes_on_from_a_chat_and_the_chat_from_it(
    running: Running, student: Student, talker: Talker
) -> None:
    chat = await student.chat()
    await student.ask(chat, "My name is Ada.")
    asked = {"model": "echo", "conversation": str(chat), "input": "What is my name?"}

    told = await talker.client.post(f"{running.base_url}/responses", json=asked, headers=running.headers)

    answer = told.json()["output"][0]["content"][0]["text"]
    assert told.json()["conversation"]["id"].startswith("conv_")
    assert await student.said(chat) == [
        ("user", "My name is Ada."),
        ("assistant", "My name is Ada."),
        ("user", "What is my name?"),
        ("assistant", answer),
    ]
    await student.ask(chat, "And now?")
    assert await student.get(f"/{chat}/num_messages") == {"num_messages": 6}

"""The official Python SDK, newest 3.x: chats that are stored."""

import openai
import pytest
from openai import AsyncOpenAI

from tests.clients.test_python_sdk import WEATHER, says

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_chat_is_stored_listed_changed_and_forgotten(client: AsyncOpenAI, stranger: AsyncOpenAI) -> None:
    chats = client.chat.completions
    stored = await chats.create(model="echo", messages=says("keep this"), store=True, metadata={"topic": "trees"})
    await chats.create(model="echo", messages=says("not this"))
    changed = await chats.update(stored.id, metadata={"topic": "clocks"})

    assert [each.id async for each in chats.list()] == [stored.id]
    assert [each.id async for each in chats.list(metadata={"topic": "trees"})] == []
    assert changed.metadata == {"topic": "clocks"}
    assert (await chats.retrieve(stored.id)).choices == stored.choices
    assert [message.content async for message in chats.messages.list(stored.id)] == ["keep this"]
    with pytest.raises(openai.NotFoundError):
        await stranger.chat.completions.retrieve(stored.id)
    assert (await chats.delete(stored.id)).deleted


async def test_pages_of_stored_chats_and_of_their_messages_follow_one_another(client: AsyncOpenAI) -> None:
    chats = client.chat.completions
    made = [(await chats.create(model="echo", messages=says(f"{n}") * 3, store=True)).id for n in range(3)]

    newest = chats.list(limit=1, order="desc", model="echo")

    assert [each.id async for each in newest] == made[::-1]
    assert [message.content async for message in chats.messages.list(made[0], limit=1)] == ["0"] * 3


async def test_a_stream_is_stored_under_the_id_that_its_chunks_tell(client: AsyncOpenAI) -> None:
    asked = says("[[tool get_weather city=Paris]] Warm?")
    async with client.chat.completions.stream(model="echo", messages=asked, tools=[WEATHER], store=True) as stream:
        told = await stream.get_final_completion()

    kept = await client.chat.completions.retrieve(told.id)

    assert told.choices[0].message.tool_calls
    assert [call.model_dump() for call in kept.choices[0].message.tool_calls or ()] == [
        {"id": call.id, "type": "function", "function": {"name": "get_weather", "arguments": call.function.arguments}}
        for call in told.choices[0].message.tool_calls
    ]


async def test_a_lost_stream_is_read_again_by_the_id_that_its_chunks_tell(client: AsyncOpenAI) -> None:
    chats, asked = client.chat.completions, says("one two three")
    resumable = {"x-resumable": "true"}
    async with await chats.create(model="echo", messages=asked, stream=True, extra_headers=resumable) as lost:
        first = await anext(aiter(lost))

    again = {**resumable, "last-event-id": first.id}
    told = [chunk async for chunk in await chats.create(model="echo", messages=asked, stream=True, extra_headers=again)]
    after = {**resumable, "last-event-id": f"{first.id}:0"}
    rest = [chunk async for chunk in await chats.create(model="echo", messages=asked, stream=True, extra_headers=after)]

    assert told[0] == first
    assert rest == told[1:]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in told if chunk.choices) == "one two three"

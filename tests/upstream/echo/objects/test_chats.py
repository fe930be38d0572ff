"""Chat completions that are kept."""

import openai
import pytest

from tests.upstream.echo.asking import Asker, Json

MESSAGES: Json = [
    {"role": "system", "content": "Be kind"},
    {"role": "user", "content": [{"type": "text", "text": "Hello"}]},
]


async def test_a_chat_is_kept_where_it_is_to_be_listed_changed_and_deleted(
    strict: openai.AsyncOpenAI, sdk: openai.AsyncOpenAI
) -> None:
    chat = await strict.chat.completions.create(
        model="echo", messages=MESSAGES, store=True, metadata={"topic": "kindness"}
    )
    other = await strict.chat.completions.create(model="echo", messages=MESSAGES, store=True)
    await strict.chat.completions.create(model="echo", messages=MESSAGES)

    everything = [kept.id async for kept in strict.chat.completions.list(limit=1)]
    about = [kept.id async for kept in strict.chat.completions.list(metadata={"topic": "kindness"})]
    messages = [message async for message in sdk.chat.completions.messages.list(chat.id)]
    await strict.chat.completions.update(chat.id, metadata={"topic": "other"})
    shown = await strict.chat.completions.retrieve(chat.id)
    await strict.chat.completions.delete(chat.id)

    assert (everything, about) == ([chat.id, other.id], [chat.id])
    assert messages[0].content == "Be kind"
    assert messages[1].content_parts is not None
    assert shown.choices == chat.choices
    assert shown.model_dump()["metadata"] == {"topic": "other"}
    with pytest.raises(openai.NotFoundError):
        await strict.chat.completions.retrieve(chat.id)


async def test_a_streamed_chat_is_kept_under_the_id_of_its_chunks(ask: Asker) -> None:
    answer = await ask.chat("Hello", stream=True, store=True)

    names = {event["id"] for event in answer.events[:-1]}
    (kept,) = (await ask.get("/chat/completions")).json["data"]
    assert names == {kept["id"]}
    assert kept["choices"][0]["message"]["content"] == "Hello"

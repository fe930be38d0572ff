"""The official Python SDK: conversations, which are kept here."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_conversation_is_kept_with_its_items(client: AsyncOpenAI) -> None:
    talk = await client.conversations.create(
        items=[{"role": "user", "content": f"{n}"} for n in range(20)], metadata={"topic": "trees"}
    )
    added = await client.conversations.items.create(talk.id, items=[{"role": "assistant", "content": "20"}])
    changed = await client.conversations.update(talk.id, metadata={"topic": "clocks"})

    pages = client.conversations.items.list(talk.id, order="asc", limit=6)
    items: list[Any] = [item async for item in pages]

    assert (talk.metadata, changed.metadata) == ({"topic": "trees"}, {"topic": "clocks"})
    assert (await client.conversations.retrieve(talk.id)) == changed
    assert [item.content[0].text for item in items] == [f"{n}" for n in range(21)]
    assert [item.role for item in items[-2:]] == ["user", "assistant"]
    assert items[-1] == added.data[0]


async def test_an_item_and_a_conversation_are_deleted(client: AsyncOpenAI) -> None:
    talk = await client.conversations.create(items=[{"role": "user", "content": "Hello"}])
    [item] = (await client.conversations.items.list(talk.id)).data

    shown = await client.conversations.items.retrieve(item.id or "", conversation_id=talk.id)
    left = await client.conversations.items.delete(item.id or "", conversation_id=talk.id)
    deleted = await client.conversations.delete(talk.id)

    assert (shown, left, deleted.deleted) == (item, talk, True)
    with pytest.raises(openai.NotFoundError, match="conversation_id"):
        await client.conversations.items.list(talk.id)


async def test_what_was_thought_is_shown_sealed_to_whoever_asks_for_it(client: AsyncOpenAI) -> None:
    thought: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "sealed"}
    talk = await client.conversations.create(items=[thought])

    plain: list[Any] = [item async for item in client.conversations.items.list(talk.id)]
    included = client.conversations.items.list(talk.id, include=["reasoning.encrypted_content"])
    full: list[Any] = [item async for item in included]

    assert [item.encrypted_content for item in (*plain, *full)] == [None, "sealed"]


async def test_another_accounts_conversation_is_not_found(client: AsyncOpenAI, stranger: AsyncOpenAI) -> None:
    talk = await client.conversations.create()

    with pytest.raises(openai.NotFoundError, match="conversation_id"):
        await stranger.conversations.retrieve(talk.id)

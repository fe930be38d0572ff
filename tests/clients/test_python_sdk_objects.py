"""The official Python SDK: what an upstream keeps, through this server, which knows whose it is."""

import openai
import pytest
from openai import AsyncOpenAI

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_file_is_found_in_a_vector_store_until_both_are_deleted(client: AsyncOpenAI) -> None:
    file = await client.files.create(file=("clock.txt", b"a clock on the wall"), purpose="assistants")
    store = await client.vector_stores.create(name="mine", file_ids=[file.id])

    found = [result.file_id async for result in client.vector_stores.search(store.id, query="the clock")]
    listed = [kept.id async for kept in client.vector_stores.files.list(store.id)]
    content = await client.files.content(file.id)
    await client.vector_stores.delete(store.id)
    await client.files.delete(file.id)

    assert (found, listed, content.content) == ([file.id], [file.id], b"a clock on the wall")
    assert [kept.id async for kept in client.files.list()] == []
    with pytest.raises(openai.NotFoundError):
        await client.vector_stores.retrieve(store.id)


async def test_an_upload_becomes_a_file_of_the_account(client: AsyncOpenAI) -> None:
    upload = await client.uploads.create(bytes=10, filename="a.txt", mime_type="text/plain", purpose="user_data")
    parts = [(await client.uploads.parts.create(upload.id, data=data)).id for data in (b"Hello", b"world")]

    done = await client.uploads.complete(upload.id, part_ids=parts)

    assert done.file is not None
    assert (await client.files.retrieve(done.file.id)).filename == "a.txt"


async def test_a_container_is_kept(client: AsyncOpenAI) -> None:
    container = await client.containers.create(name="mine")
    own = await client.containers.files.create(container.id, file=("a.txt", b"Hello"))

    assert [kept.id async for kept in client.containers.list()] == [container.id]
    content = await client.containers.files.content.retrieve(own.id, container_id=container.id)
    assert content.content == b"Hello"

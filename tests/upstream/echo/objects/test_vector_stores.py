"""Vector stores: files attached, counted, and found by their words."""

import openai
import pytest

from tests.upstream.echo.asking import Asker


async def file_of(strict: openai.AsyncOpenAI, text: str) -> str:
    return (await strict.files.create(file=("a.txt", text.encode()), purpose="assistants")).id


async def test_the_file_that_shares_most_words_is_found_first(strict: openai.AsyncOpenAI) -> None:
    tree, clock = [await file_of(strict, text) for text in ("a tall green tree", "a clock on the wall")]
    store = await strict.vector_stores.create(name="mine", file_ids=[tree, clock])

    found = [result async for result in strict.vector_stores.search(store.id, query="the clock", max_num_results=2)]

    assert [result.file_id for result in found] == [clock, tree]
    assert found[0].content[0].text == "a clock on the wall"


async def test_files_are_attached_counted_changed_and_detached(strict: openai.AsyncOpenAI) -> None:
    file = await file_of(strict, "Hello")
    store = await strict.vector_stores.create(name="mine", metadata={"a": "b"})

    attached = await strict.vector_stores.files.create(store.id, file_id=file, attributes={"year": 2025})
    counted = await strict.vector_stores.retrieve(store.id)
    changed = await strict.vector_stores.files.update(file, vector_store_id=store.id, attributes={"year": 2026})
    text = [part.text async for part in strict.vector_stores.files.content(file, vector_store_id=store.id)]
    listed = [found.id async for found in strict.vector_stores.files.list(store.id)]
    await strict.vector_stores.files.delete(file, vector_store_id=store.id)

    assert attached.attributes == {"year": 2025}
    assert (counted.file_counts.completed, counted.usage_bytes) == (1, 5)
    assert changed.attributes == {"year": 2026}
    assert (text, listed) == (["Hello"], [file])
    assert (await strict.vector_stores.retrieve(store.id)).file_counts.total == 0
    assert (await strict.files.retrieve(file)).id == file


async def test_files_are_attached_at_once(strict: openai.AsyncOpenAI) -> None:
    one, other = [await file_of(strict, text) for text in ("one", "other")]
    store = await strict.vector_stores.create()

    batch = await strict.vector_stores.file_batches.create(store.id, files=[{"file_id": one}, {"file_id": other}])
    await strict.vector_stores.file_batches.create(store.id, file_ids=[one], attributes={"year": 2026})

    listed = [
        file.id async for file in strict.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id)
    ]
    cancelled = await strict.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id)
    assert (batch.file_counts.completed, listed) == (2, [other, one])
    assert cancelled == await strict.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id)
    assert (await strict.vector_stores.retrieve(store.id)).file_counts.total == 2
    with pytest.raises(openai.BadRequestError, match="file_ids"):
        await strict.vector_stores.file_batches.create(store.id, file_ids=[])


async def test_a_store_is_renamed_and_deleted_with_what_is_in_it(strict: openai.AsyncOpenAI) -> None:
    file = await file_of(strict, "Hello")
    store = await strict.vector_stores.create(file_ids=[file])

    renamed = await strict.vector_stores.update(store.id, name="other")
    deleted = await strict.vector_stores.delete(store.id)

    assert renamed.name == "other"
    assert deleted.deleted
    with pytest.raises(openai.NotFoundError):
        await strict.vector_stores.files.retrieve(file, vector_store_id=store.id)


async def test_a_deleted_file_is_not_found_any_more(strict: openai.AsyncOpenAI) -> None:
    file = await file_of(strict, "Hello")
    store = await strict.vector_stores.create(file_ids=[file])
    await strict.files.delete(file)

    assert [result async for result in strict.vector_stores.search(store.id, query=["Hello"])] == []


async def test_a_search_that_cannot_be_made_is_refused(ask: Asker) -> None:
    name = (await ask.post("/vector_stores", {})).json["id"]

    answers = [await ask.post(f"/vector_stores/{name}/search", body) for body in ({}, {"query": "a", "filters": {}})]

    assert [(answer.status, answer.error["param"]) for answer in answers] == [(400, "query"), (400, "filters")]

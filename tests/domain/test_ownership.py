from collections.abc import AsyncIterator
from itertools import chain, repeat

import pytest
import pytest_asyncio

from llm_backend.domain.naming import Named
from llm_backend.domain.ownership import MOST_NAMED, Makings, Ownership, Recording
from llm_backend.errors import MESSAGE_LIMIT, InvalidRequest, NotFound, UpstreamInvalid
from llm_backend.storage.upstream_objects import UpstreamObject
from tests.clocks import SetClock
from tests.domain.parts import Parts

ALICE, BOB = 1, 2


@pytest_asyncio.fixture
async def ownership(parts: Parts) -> AsyncIterator[Ownership]:
    """Of two accounts that have one file each, and the first a vector store with a batch."""
    await parts.accounts.create("alice")
    await parts.accounts.create("bob")
    known = Ownership(parts.database, SetClock())
    await known.record([a_file(ALICE, "file-a"), a_file(BOB, "file-b")])
    store = UpstreamObject(ALICE, "openai", "vector_stores", "vs-a", None)
    batch = UpstreamObject(ALICE, "openai", "vector_stores.file_batches", "batch-a", "vs-a")
    await known.record([store, batch])
    yield known


def a_file(account_id: int, object_id: str, upstream: str = "openai") -> UpstreamObject:
    return UpstreamObject(account_id, upstream, "files", object_id, None)


def naming(object_id: str, kind: str = "files", parent: str | None = None) -> Named:
    return Named("file_id", kind, object_id, parent)


async def test_what_is_ones_own_is_where_it_was_made(ownership: Ownership) -> None:
    assert await ownership.where(ALICE, [naming("file-a"), naming("vs-a", "vector_stores")]) == "openai"
    assert await ownership.where(ALICE, []) is None


@pytest.mark.parametrize(
    "named",
    [
        naming("file-b"),
        naming("file-c"),
        naming("file-a", "vector_stores"),
        naming("batch-a", "vector_stores.file_batches", "vs-b"),
        naming("\x00"),
        naming("\ud800"),
        naming("a" * 10_000),
    ],
)
async def test_what_is_not_ones_own_is_not_there(ownership: Ownership, named: Named) -> None:
    with pytest.raises(
        NotFound, match=r"^Not found: what 'file_id' names does not exist or is not this account's\.$"
    ) as refused:
        await ownership.where(ALICE, [naming("file-a"), named])

    assert refused.value.param == "file_id"


async def test_a_place_that_a_client_made_up_is_told_no_longer_than_a_message(ownership: Ownership) -> None:
    with pytest.raises(NotFound) as refused:
        await ownership.where(ALICE, [Named(f"{'x' * 100_000}.file_id", "files", "file-b")])

    assert refused.value.envelope()["error"]["param"] == "x" * MESSAGE_LIMIT


async def test_nobody_names_more_than_can_be_looked_up(ownership: Ownership) -> None:
    named = [naming("file-a")] * MOST_NAMED

    assert await ownership.where(ALICE, named) == "openai"
    with pytest.raises(InvalidRequest, match="at most"):
        await ownership.where(ALICE, chain(named, repeat(naming("file-a"))))


async def test_one_request_names_what_is_together(ownership: Ownership) -> None:
    await ownership.record([a_file(ALICE, "file-there", "vllm")])

    assert await ownership.where(ALICE, [naming("file-there")]) == "vllm"
    with pytest.raises(InvalidRequest, match="another upstream"):
        await ownership.where(ALICE, [naming("file-a"), naming("file-there")])


async def test_nobody_is_given_what_is_anothers_already(ownership: Ownership) -> None:
    await ownership.record([a_file(ALICE, "file-a")])
    with pytest.raises(UpstreamInvalid, match="id that another one has"):
        await ownership.record([a_file(ALICE, "file-new"), a_file(ALICE, "file-b")])

    assert await ownership.where(BOB, [naming("file-b")]) == "openai"
    assert await ownership.own(ALICE, "openai", "files", ["file-a", "file-b", "file-new"]) == {"file-a"}


async def test_what_is_gone_is_forgotten_with_what_went_with_it(ownership: Ownership) -> None:
    await ownership.forget(BOB, "openai", "vs-a")
    assert await ownership.count(ALICE, "openai", "vector_stores", 10) == 1

    await ownership.forget(ALICE, "openai", "vs-a")

    assert await ownership.count(ALICE, "openai", "vector_stores", 10) == 0
    assert await ownership.count(ALICE, "openai", "vector_stores.file_batches", 10) == 0
    assert await ownership.count(ALICE, "openai", "files", 10) == 1


async def test_one_tenant_may_name_what_nobody_is_known_to_have_made(parts: Parts, ownership: Ownership) -> None:
    lenient = Ownership(parts.database, SetClock(), passes_unknown=True)

    assert await lenient.where(ALICE, [naming("file-c")]) is None
    assert await lenient.where(ALICE, [naming("file-a"), naming("file-c")]) == "openai"
    with pytest.raises(NotFound):
        await lenient.where(ALICE, [naming("file-b")])


async def test_what_an_answer_tells_piece_by_piece_is_known_at_once(ownership: Ownership) -> None:
    recording = Recording(ownership, ALICE, Makings({"output[].file_id": "files", "item.file_id": "files"}))

    await recording("openai", {"type": "response.created", "response": {"id": "resp-1", "output": []}})
    await recording("openai", {"type": "response.output_text.delta", "delta": "Hello"})
    await recording("openai", {"type": "response.output_item.done", "item": {"file_id": "file-1"}})
    await recording("openai", {"type": "response.output_item.done", "item": {"file_id": "file-b"}})
    await recording("openai", {"type": "response.completed", "response": {"output": [{"file_id": "file-2"}]}})

    assert await ownership.own(ALICE, "openai", "files", ["file-1", "file-2", "file-b"]) == {"file-1", "file-2"}
    # What was somebody else's stays so, whoever repeats its id.
    assert await ownership.where(BOB, [naming("file-b")]) == "openai"

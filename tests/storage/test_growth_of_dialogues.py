"""However long a dialogue has become, of it is read what a model reads, and no more: rows are counted, not seconds."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from llm_backend.domain import items as forms
from llm_backend.domain.bounds import UNKNOWN_CONTEXT
from llm_backend.domain.responses.before import FIRST_ITEMS
from llm_backend.domain.responses.drafting import ANSWER_SHARE, LIKELY_BYTES_A_TOKEN, SURE_BYTES_A_TOKEN
from llm_backend.errors import Json
from llm_backend.storage import conversations, items, responses
from llm_backend.storage.conversations import CONVERSATION, THREAD, Conversation
from llm_backend.storage.items import Item
from tests.domain.belongings import a_response
from tests.serving import Running, serving
from tests.storage.records import NOON
from tests.whole.good_requests import bearer

SMALL_CONTEXT = 40_000
TOML = f"""
[models.small]
upstream_model = "echo"
context_length = {SMALL_CONTEXT}
[models.unknown]
upstream_model = "echo"
"""
CONTEXTS = {"small": SMALL_CONTEXT, "unknown": UNKNOWN_CONTEXT}
"""In tokens, by model: of one of which none is known it is taken to be that of the longest."""
SAID = {"role": "user", "content": "word " * 400}
ITEMS = 10_000
"""More than any context takes: twenty megabytes."""
CHAIN = 2_000


@pytest.fixture
async def running(migrated_file: Path, tmp_path: Path) -> AsyncIterator[Running]:
    file = shutil.copy(migrated_file, tmp_path / "grown.db")
    async with serving(f"sqlite:///{file}", tmp_path, toml=TOML) as server:
        yield server


Read = Callable[..., Awaitable[list[Item]]]


@contextmanager
def reading() -> Iterator[list[list[Item]]]:
    """The items that are read meanwhile, by page."""
    pages: list[list[Item]] = []

    def noting(read: Read) -> Read:
        async def noted(*asked: object) -> list[Item]:
            pages.append(await read(*asked))
            return pages[-1]

        return noted

    with pytest.MonkeyPatch.context() as patch:
        for name in ("between", "numbered"):
            patch.setattr(items, name, noting(getattr(items, name)))
        yield pages


def most_items(model: str, truncation: str) -> int:
    """So many fit into what is read of a model's context; a page is up to twice as long as what is needed of it."""
    context = CONTEXTS[model]
    is_cut = truncation == "auto"
    room = (context - context // ANSWER_SHARE) * LIKELY_BYTES_A_TOKEN if is_cut else context * SURE_BYTES_A_TOKEN
    return 2 * (room // len(str(SAID["content"]))) + FIRST_ITEMS


async def said(running: Running, kind: str, count: int, **values: Json) -> Conversation:
    """A conversation with so many items, in which everybody says the same."""
    async with running.database.begin() as session:
        told = {"public_id": forms.new_id("conv"), "settings": b"{}", "created_at": NOON, "next_sequence": count}
        made = await conversations.add(session, running.account_id, kind, told | values)
        await items.add(session, forms.rows(forms.given([SAID] * count), (running.account_id, made.id, 0), NOON))
    return made


async def chained(running: Running, length: int) -> str:
    """The id of the last of so many responses, each of which goes on from the one before it."""
    thread = await said(running, THREAD, 2 * length)
    return await answered(running, thread, length)


async def answered(running: Running, thread: Conversation, length: int) -> str:
    """The id of the last of so many responses that are made of a thread."""
    last = ""
    async with running.database.begin() as session:
        for number in range(length):
            last = forms.new_id("resp")
            place = {"first_sequence": 2 * number, "output_sequence": 2 * number + 1, "end_sequence": 2 * number + 2}
            made = a_response(running.account_id, last) | place | {"conversation_id": thread.id}
            await responses.add(session, made)
    return last


async def asked(running: Running, body: Json) -> httpx.Response:
    async with httpx.AsyncClient(base_url=running.base_url, headers=bearer(running.key), timeout=60) as client:
        answer = await client.post("/responses", json={"input": "Hello", **body})
    await running.quiet()
    return answer


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
@pytest.mark.parametrize("model", CONTEXTS)
async def test_of_a_long_conversation_no_more_is_read_than_the_context_takes(
    running: Running, model: str, truncation: str
) -> None:
    talk = await said(running, CONVERSATION, ITEMS)
    body = {"model": model, "truncation": truncation, "conversation": talk.public_id}

    with reading() as pages:
        answer = await asked(running, body)

    assert 0 < sum(map(len, pages)) <= min(ITEMS, most_items(model, truncation))
    assert len(pages) < 12
    if truncation == "auto":
        assert answer.status_code == 200, answer.text
    else:
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "truncation")


async def test_a_page_of_a_long_conversation_is_read_alone(running: Running) -> None:
    talk = await said(running, CONVERSATION, ITEMS)

    with reading() as pages:
        async with httpx.AsyncClient(base_url=running.base_url, headers=bearer(running.key)) as client:
            answer = await client.get(f"/conversations/{talk.public_id}/items?limit=20")

    assert len(answer.json()["data"]) == 20
    assert [len(page) for page in pages] == [20]


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
async def test_of_a_conversation_of_many_bytes_no_more_is_read_than_a_request_may_bring(
    running: Running, truncation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = await said(running, CONVERSATION, 100)
    monkeypatch.setattr(forms, "MOST_BYTES", 10 * len(str(SAID["content"])))
    body = {"model": "unknown", "truncation": truncation, "conversation": talk.public_id}

    with reading() as pages:
        answer = await asked(running, body)

    assert [len(page) for page in pages] == [9]
    assert answer.status_code == (200 if truncation == "auto" else 400), answer.text


@pytest.mark.parametrize("forks", [0, 100], ids=["one thread", "of many branches"])
async def test_of_many_responses_that_are_chained_no_more_is_read_than_the_context_takes(
    running: Running, forks: int
) -> None:
    last = await chained(running, CHAIN)
    async with running.database.reading() as session:
        found = await responses.find(session, running.account_id, last)
        assert found is not None
        parent = await conversations.numbered(session, running.account_id, found.conversation_id or 0)
    assert parent is not None
    for _ in range(forks):
        # Each goes on from the first of two answers of the one before it.
        parent = await said(running, THREAD, 4, parent_id=parent.public_id, parent_sequence=2)
        last = await answered(running, parent, 2)
    body = {"model": "small", "truncation": "auto", "previous_response_id": last}

    with reading() as pages:
        answer = await asked(running, body)

    assert answer.status_code == 200, answer.text
    assert 0 < sum(map(len, pages)) <= most_items("small", "auto")
    assert len(pages) <= (30 if forks else 3)

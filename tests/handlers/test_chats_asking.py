"""What a question to a chat sends upstream, and what becomes of it where that fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from sqlalchemy import delete

from llm_backend.errors import Json
from llm_backend.storage.tables import conversation
from tests.databases import ON_SQLITE
from tests.faulty import FaultyUpstream, completion, counts, error, head
from tests.handlers.chatting import Student, chatting
from tests.serving import Running, serving

DEADLINES = "[timeouts]\nfirst_byte_seconds = 2\nidle_seconds = 2\n"
MODELS = '[chats]\nchat_model = "chats"\ntext_model = "continues"\n'
SMALL = "[models.chats]\ncontext_length = 300\nmax_output_tokens = 50\n[models.continues]\ncontext_length = 400\n"


@asynccontextmanager
async def relayed(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream, toml: str = MODELS
) -> AsyncIterator[tuple[Running, Student]]:
    """A server whose chats are answered by `upstream`, and a student there."""
    key = "sk-upstream-canary-0123456789abcdef"
    url = upstream.base_url
    async with (
        serving(database_url, tmp_path, toml=DEADLINES + toml, OPENAI_BASE_URL=url, OPENAI_API_KEY=key) as running,
        chatting(running) as student,
    ):
        yield running, student


@pytest.fixture
async def stage(database_url: str, tmp_path: Path, upstream: FaultyUpstream) -> AsyncIterator[tuple[Running, Student]]:
    async with relayed(database_url, tmp_path, upstream) as both:
        yield both


def continuation(text: str) -> Json:
    """A whole text completion."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]} | {
        "usage": counts(3, 2)
    }


async def test_all_that_was_said_is_sent_again_with_the_instructions_in_their_places(
    upstream: FaultyUpstream, stage: tuple[Running, Student]
) -> None:
    _, student = stage
    upstream.answers(completion("one"))
    upstream.answers(completion("two"))
    chat = await student.chat()

    await student.ask(chat, "first", instruction="Be brief")
    await student.ask(chat, "second", instruction="Be kind", model_args={"temperature": 0, "max_tokens": 9})
    sent = [request.json for request in upstream.requests]

    said = [("system", "Be brief"), ("user", "first"), ("assistant", "one"), ("system", "Be kind"), ("user", "second")]
    messages = [{"role": role, "content": content} for role, content in said]
    assert sent[0] == {"model": "chats", "messages": messages[:2], "temperature": 0.7}
    assert sent[1] == {"model": "chats", "messages": messages, "temperature": 0, "max_tokens": 9}
    assert await student.said(chat) == [*said, ("assistant", "two")]


@ON_SQLITE
async def test_a_text_is_continued_with_prefixes(upstream: FaultyUpstream, stage: tuple[Running, Student]) -> None:
    running, student = stage
    upstream.answers(continuation(" one"))
    upstream.answers(continuation("two"))
    chat = await student.chat(model_type="text_completion", user_prefix="Q: ", assistant_prefix="A: ")

    await student.ask(chat, "first", instruction="Be brief")
    told = await student.ask(chat, "second", model_args={"best_of": 3})
    first, second = (request.json for request in upstream.requests)

    assert [request.path for request in upstream.requests] == ["/v1/completions"] * 2
    assert first == {
        "model": "continues",
        "prompt": "My request: Be brief\nQ: first\nA: ",
        "temperature": 0.7,
        "max_tokens": 1024,
    }
    assert second["prompt"] == "My request: Be brief\nQ: first\nA:  one\nQ: second\nA: "
    assert second["best_of"] == 3
    assert (told["content"], told["usage"]) == ("two", counts(3, 2))
    assert [record.operation for record in await running.records()] == ["askChat"] * 2


@ON_SQLITE
async def test_a_history_that_the_model_cannot_read_is_cut_and_kept(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    upstream.answers(completion("x" * 100))
    async with relayed(database_url, tmp_path, upstream, MODELS + SMALL) as (_, student):
        chat = await student.chat()
        for number in range(4):
            await student.ask(chat, f"question {number}")
        said = await student.said(chat)
    sent = [[message["content"] for message in request.json["messages"]] for request in upstream.requests]

    assert sent[1] == ["question 0", "x" * 100, "question 1"]
    assert sent[3] == ["question 2", "x" * 100, "question 3"]
    assert len(said) == 8


@ON_SQLITE
async def test_a_history_that_the_upstream_finds_too_long_is_halved_until_it_is_not(
    upstream: FaultyUpstream, stage: tuple[Running, Student]
) -> None:
    running, student = stage
    for number in range(3):
        upstream.answers(completion(f"answer {number}"))
    too_long = error("Too long.", "invalid_request_error", "context_length_exceeded")
    upstream.answers(too_long, status=400)
    upstream.answers(too_long, status=400)
    upstream.answers(completion("at last"))
    chat = await student.chat()
    for number in range(3):
        await student.ask(chat, f"question {number}")
    before = await student.usage()

    told = await student.ask(chat, "question 3")
    sent = [[message["content"] for message in request.json["messages"]] for request in upstream.requests[4:]]

    assert told["content"] == "at last"
    assert sent == [["question 2", "answer 2", "question 3"], ["question 3"]]
    assert await student.usage() == before + 5
    assert len(await student.said(chat)) == 8
    assert len(await running.records()) == 6


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (429, error("Slow down.", "requests"), (429, "OpenAI rate limit hit.")),
        (400, error("No such thing.", "invalid_request_error"), (400, "No such thing.")),
        (404, error("No model.", "invalid_request_error"), (502, "No model.")),
        (504, error(), (504, "OpenAI timed out.")),
        (501, error(), (502, "The upstream answered with the status 501.")),
        (401, error(), (502, "The upstream refused this server's credentials; its operator has to mend that.")),
        (200, {"choices": None}, (502, "The upstream's answer has no choices.")),
    ],
)
@ON_SQLITE
async def test_a_failed_question_keeps_nothing_and_costs_nothing(
    upstream: FaultyUpstream, stage: tuple[Running, Student], status: int, answer: Json, told: tuple[int, str]
) -> None:
    _, student = stage
    upstream.answers(answer, status=status, headers={"x-should-retry": "false"})
    chat = await student.chat()

    got = await student.ask(chat, "hello", status=told[0])

    assert got == {"error": told[1]}
    assert await student.said(chat) == []
    assert await student.usage() == 0


async def test_a_silent_upstream_times_out_and_nothing_is_kept(
    upstream: FaultyUpstream, stage: tuple[Running, Student]
) -> None:
    running, student = stage
    upstream.hangs()
    chat = await student.chat()

    told = await student.ask(chat, "hello", status=504)
    [record] = await running.records()

    assert told == {"error": "OpenAI timed out."}
    assert await student.said(chat) == []
    assert (record.status, record.total_tokens, await student.usage()) == ("failed", 0, 0)


async def test_while_the_model_thinks_nothing_is_held_in_the_database(
    upstream: FaultyUpstream, stage: tuple[Running, Student]
) -> None:
    _, student = stage
    upstream.hangs()
    chat = await student.chat()
    asking = asyncio.create_task(student.ask(chat, "hello", status=504))
    await upstream.received()

    # Each of these writes, or reads what the question will write.
    others = [await student.chat(f"other {number}") for number in range(3)]
    assert await student.get(f"/{chat}/num_messages") == {"num_messages": 0}

    assert len(others) == 3
    await asking


async def test_a_chat_that_is_erased_while_the_model_answers_keeps_nothing_and_the_answer_is_paid(
    upstream: FaultyUpstream, stage: tuple[Running, Student]
) -> None:
    running, student = stage
    answer, erased = orjson.dumps(completion("too late")), asyncio.Event()
    upstream.raw(erased, head(200, content_type="application/json", content_length=str(len(answer))), answer)
    chat = await student.chat()
    asking = asyncio.create_task(student.ask(chat, "hello", status=404))
    await upstream.received()
    async with running.database.begin() as session:
        await session.execute(delete(conversation))

    erased.set()

    assert await asking == {"error": f"Chat with id {chat} does not exist"}
    assert await student.usage() == 5


@ON_SQLITE
async def test_who_leaves_before_the_answer_has_asked_nothing(
    upstream: FaultyUpstream, stage: tuple[Running, Student]
) -> None:
    running, student = stage
    upstream.hangs()
    chat = await student.chat()
    asking = asyncio.create_task(student.ask(chat, "hello"))
    await upstream.received()

    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    [record] = await running.records()

    assert (record.error_code, record.total_tokens) == ("client_disconnected", 0)
    assert await student.said(chat) == []
    assert await student.usage() == 0


@pytest.mark.parametrize(
    ("toml", "kind", "asked"),
    [
        ("", "chat_completion", "gpt-3.5-turbo"),
        ("", "text_completion", "echo"),
        ('default_model = "echo-reasoning"\n', "text_completion", "echo-reasoning"),
        ('[models.mine]\nupstream_model = "echo"\n', "chat_completion", "mine"),
        ('[chats]\nchat_model = "echo-reasoning"\n', "chat_completion", "echo-reasoning"),
    ],
)
@ON_SQLITE
async def test_who_answers_is_configured_or_stands_in(
    database_url: str, tmp_path: Path, toml: str, kind: str, asked: str
) -> None:
    async with serving(database_url, tmp_path, toml=toml) as running, chatting(running) as student:
        chat = await student.chat(model_type=kind)

        await student.ask(chat, "hello")
        [record] = await running.records()

    assert record.model == asked

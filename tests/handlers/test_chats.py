"""Chats by an account's key, as the clients of `/api` know them."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import select

from llm_backend.errors import Json
from llm_backend.storage.tables import conversation, item
from tests.databases import ON_SQLITE
from tests.handlers.administering import Admin
from tests.handlers.chatting import Student, chatting
from tests.serving import Running

MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
PREFIXES = {"instruction_prefix": "My request: ", "user_prefix": "My request: ", "assistant_prefix": "Your response: "}
ARGUMENTS = {
    "temperature": 0.7,
    "top_p": 1,
    "max_tokens": None,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "best_of": 1,
}


@pytest.fixture
async def student(running: Running) -> AsyncIterator[Student]:
    async with chatting(running) as client:
        yield client


async def limited(running: Running, admin: Admin, budget: int) -> None:
    await admin.ask("PUT", f"/accounts/{running.account_id}", {"budget": budget})


async def test_a_chat_is_made_with_the_usual_prefixes_and_listed(running: Running, student: Student) -> None:
    made = await student.post("", {"name": "homework"})

    assert made == {
        "id": made["id"],
        "created_at": made["created_at"],
        "updated_at": None,
        "name": "homework",
        "account_id": running.account_id,
        "model_type": "chat_completion",
        **PREFIXES,
    }
    assert MOMENT.fullmatch(made["created_at"])
    assert await student.get() == [made]


async def test_chats_are_listed_by_id_and_found_by_a_part_of_their_name(student: Student) -> None:
    for name in ("Zoë's essay", "100% maths", "essay two", "essay two"):
        await student.chat(name)

    assert [chat["name"] for chat in await student.get()] == ["Zoë's essay", "100% maths", "essay two", "essay two"]
    assert [chat["name"] for chat in await student.get("?name=ESSAY")] == ["Zoë's essay", "essay two", "essay two"]
    assert [chat["name"] for chat in await student.get("?name=%25")] == ["100% maths"]
    assert await student.get("?name=%00") == []


async def test_an_answer_is_told_with_its_usage_and_kept_with_its_question(running: Running, student: Student) -> None:
    chat = await student.chat()

    told = await student.ask(chat, "Say three words", model_args={"max_tokens": None, "best_of": 2})
    asked, kept = await student.get(f"/{chat}/messages")
    [record] = await running.records()

    assert told == kept | {"over_soft_limit": False}
    assert (kept["role"], kept["content"], kept["chat_id"]) == ("assistant", "Say three words", chat)
    assert kept["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert kept["model_args"] == ARGUMENTS | {"best_of": 2}
    assert (kept["updated_at"], bool(MOMENT.fullmatch(kept["created_at"]))) == (None, True)
    assert (asked["role"], asked["content"], asked["usage"], asked["model_args"]) == ("user", "Say three words", {}, {})
    assert asked["id"] < kept["id"]
    assert await student.get(f"/{chat}/num_messages") == {"num_messages": 2}
    assert await student.get("/budget") == {"usage": 6, "limit": None}
    assert (record.operation, record.model, record.total_tokens) == ("askChat", "gpt-3.5-turbo", 6)


async def test_the_chat_and_its_messages_are_a_conversation_and_its_items(running: Running, student: Student) -> None:
    chat = await student.chat()
    await student.ask(chat, "null: \x00", instruction="Be brief")
    [record] = await running.records()

    async with running.database.reading() as session:
        kept = (await session.execute(select(conversation))).mappings().one()
        items = (await session.execute(select(item).order_by(item.c.sequence))).mappings().all()

    assert (kept["kind"], kept["next_sequence"], kept["account_id"]) == ("chat", 3, running.account_id)
    assert re.fullmatch(r"conv_[0-9A-Za-z]{27}", kept["public_id"])
    assert [(each["sequence"], each["role"], each["content"]) for each in items] == [
        (0, "system", b'"Be brief"'),
        (1, "user", b'"null: \\u0000"'),
        (2, "assistant", b'"null: \\u0000"'),
    ]
    assert all(re.fullmatch(r"msg_[0-9A-Za-z]{27}", each["public_id"]) for each in items)
    assert {each["attempt_id"] for each in items} == {record.attempt_id}


async def test_asking_at_once_keeps_every_pair_together_and_charges_the_exact_sum(
    running: Running, student: Student
) -> None:
    chat, other = await student.chat("one"), await student.chat("two")

    told = await asyncio.gather(*(student.ask(chat if n % 3 else other, f"number {n}") for n in range(24)))
    records = await running.records()
    said, elsewhere = await student.said(chat), await student.said(other)

    assert len(records) == 24
    assert await student.usage() == sum(record.total_tokens for record in records)
    assert await student.usage() == sum(each["usage"]["total_tokens"] for each in told)
    assert (len(said), len(elsewhere)) == (32, 16)
    pairs = [*zip(said[::2], said[1::2], strict=True), *zip(elsewhere[::2], elsewhere[1::2], strict=True)]
    assert all(question == ("user", text) and role == "assistant" for question, (role, text) in pairs)
    assert {text for _, (_, text) in pairs} == {f"number {n}" for n in range(24)}
    async with running.database.reading() as session:
        places = (await session.execute(select(item.c.sequence).where(item.c.conversation_id == chat))).scalars()
        assert sorted(places) == list(range(32))


async def test_a_question_that_is_sent_again_with_its_idempotency_key_is_asked_once(
    running: Running, student: Student
) -> None:
    chat = await student.chat()
    student.client.headers["idempotency-key"] = "once"

    told = [await student.ask(chat, "hello") for _ in range(3)]

    assert told == [told[0]] * 3
    assert len(await running.records()) == 1
    assert await student.said(chat) == [("user", "hello"), ("assistant", "hello")]


@ON_SQLITE
async def test_a_key_that_is_not_for_the_model_does_not_ask_it(running: Running, admin: Admin) -> None:
    key = await admin.ask("POST", f"/accounts/{running.account_id}/keys", {"models": ["gpt-4o"]}, 201)

    async with chatting(running, key["api_key"]) as student:
        told = await student.ask(await student.chat(), "hello", status=403)

    assert told == {"error": "Access Denied"}
    assert await running.records() == []


@pytest.mark.parametrize(("used", "warned"), [(74, False), (75, True), (99, True)])
async def test_the_answer_warns_where_most_of_the_budget_was_used_before(
    running: Running, admin: Admin, student: Student, used: int, warned: Json
) -> None:
    chat = await student.chat()
    await student.ask(chat, f"[[tokens prompt=0 completion={used}]]hello")
    await limited(running, admin, 100)

    told = await student.ask(chat, "[[tokens prompt=500 completion=500]]hello")

    # The last question may pass the limit.
    assert (told["over_soft_limit"], await student.usage()) == (warned, used + 1000)


async def test_nothing_is_asked_where_the_budget_is_reached(running: Running, admin: Admin, student: Student) -> None:
    chat = await student.chat()
    await student.ask(chat, "[[tokens prompt=50 completion=50]]hello")
    await limited(running, admin, 100)

    told = await student.ask(chat, "more", status=400)

    assert told == {"error": "Account has reached its budget"}
    assert await student.get("/budget") == {"usage": 100, "limit": 100}
    assert len(await running.records()) == 1
    assert await student.get(f"/{chat}/num_messages") == {"num_messages": 2}


@pytest.mark.parametrize("end", ["/messages", "/num_messages"])
async def test_a_foreign_chat_is_as_none(running: Running, admin: Admin, student: Student, end: str) -> None:
    chat = await student.chat()
    await student.ask(chat, "secret")
    stranger = await admin.account("stranger")

    async with chatting(running, stranger["api_key"]) as other:
        foreign = await other.get(f"/{chat}{end}", status=404)
        absent = await other.get(f"/{chat + 1}{end}", status=404)
        assert await other.ask(chat, "tell me", status=404) == foreign
        assert await other.get() == []

    assert (foreign, absent) == tuple({"error": f"Chat with id {number} does not exist"} for number in (chat, chat + 1))
    assert len(await student.said(chat)) == 2


WRONG_CHATS: list[Json] = [
    {},
    {"name": ""},
    {"name": "x" * 81},
    {"name": "a\x00b"},
    {"name": 7},
    {"name": "a", "model_type": 7},
    {"name": "a", "user_prefix": None},
    {"name": "a", "colour": "red"},
]


@ON_SQLITE
async def test_what_is_no_chat_is_refused(student: Student) -> None:
    told = [await student.post("", wrong, 400) for wrong in WRONG_CHATS]

    assert [set(each) for each in told] == [{"error"}] * len(WRONG_CHATS)
    assert await student.get() == []


@ON_SQLITE
async def test_an_unknown_kind_of_model_is_told_by_its_name(student: Student) -> None:
    told = await student.post("", {"name": "a", "model_type": "oracle"}, 400)

    assert told == {"error": "Model type oracle is not supported"}


WRONG_ARGUMENTS: list[dict[str, Json]] = [
    {"temperature": 2.1},
    {"temperature": -0.1},
    {"temperature": None},
    {"top_p": 1.1},
    {"top_p": -1},
    {"max_tokens": -1},
    {"max_tokens": 1.5},
    {"presence_penalty": 2.5},
    {"presence_penalty": -2.5},
    {"frequency_penalty": 3},
    {"frequency_penalty": -3},
    {"best_of": 0},
    {"best_of": 4},
    {"seed": 1},
]


@ON_SQLITE
async def test_arguments_out_of_range_are_refused_by_name(running: Running, student: Student) -> None:
    chat = await student.chat()

    told = [await student.ask(chat, "hello", status=400, model_args=wrong) for wrong in WRONG_ARGUMENTS]

    named = [next(iter(wrong)) in each["error"] for wrong, each in zip(WRONG_ARGUMENTS, told, strict=True)]
    assert named == [True] * len(WRONG_ARGUMENTS)
    assert await running.records() == []


async def test_the_roles_exclude_each_other(running: Running, admin: Admin, student: Student) -> None:
    chat = await student.chat()
    paths = ("", "/budget", f"/{chat}/messages", f"/{chat}/num_messages")

    by_admin = [await admin.client.get(f"/api/chats{path}") for path in paths]
    async with httpx.AsyncClient(base_url=running.root) as nobody:
        by_nobody = [await nobody.get(f"/api/chats{path}") for path in paths]
    by_account = [
        await student.client.get(path)
        for path in ("/api/accounts", f"/api/accounts/{running.account_id}/chats", "/api/users")
    ]

    assert [answer.status_code for answer in (*by_admin, *by_account)] == [403] * 7
    assert [answer.status_code for answer in by_nobody] == [401] * 4
    assert {answer.text for answer in (*by_admin, *by_account, *by_nobody)} == {'{"error": "Access Denied"}'}


async def test_the_administrator_reads_the_chats_of_any_account(
    running: Running, admin: Admin, student: Student
) -> None:
    chat = await student.chat()
    await student.ask(chat, "hello")
    await admin.ask("POST", "/accounts", {"name": "other"}, 201)
    own = f"/accounts/{running.account_id}/chats"

    listed, messages = await student.get(), await student.get(f"/{chat}/messages")

    assert await admin.ask("GET", own) == listed
    assert await admin.ask("GET", f"{own}/{chat}/messages") == messages
    assert await admin.ask("GET", f"/accounts/{running.account_id + 1}/chats") == []
    missing = [
        await admin.refused("GET", f"/accounts/{running.account_id + 1}/chats/{chat}/messages", status=404),
        await admin.refused("GET", "/accounts/404/chats", status=404),
    ]
    assert missing == [f"Chat with id {chat} does not exist", "Account with id 404 does not exist"]


@ON_SQLITE
async def test_the_root_says_that_it_runs(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.root) as nobody:
        answer = await nobody.get("/")

    assert (answer.status_code, answer.text) == (200, "Running")
    assert answer.headers["content-type"].startswith("text/plain")

"""Who moves in from Parrot finds everything where it was."""

from collections.abc import AsyncIterator
from datetime import UTC

import orjson
import pytest

from llm_backend.domain.authentication import Authentication
from llm_backend.domain.imports import AlreadyThere
from llm_backend.domain.parrot import NoParrot, Parrot
from llm_backend.errors import Unauthenticated
from llm_backend.storage import accounts
from llm_backend.storage.database import Database
from tests.databases import BOTH, ON_SQLITE
from tests.domain import parrots
from tests.domain.belongings import ADMIN, rows, violations
from tests.domain.parts import Parts

FROM_SQLITE = pytest.mark.parametrize("empty_database_url", BOTH[:1], indirect=True)
"""Where it is all the same what is read."""


@pytest.fixture
async def source(empty_database_url: str) -> AsyncIterator[Database]:
    """A Parrot database, on SQLite and on PostgreSQL in turn."""
    await parrots.make(empty_database_url)
    opened = Database(empty_database_url)
    yield opened
    await opened.close()


@pytest.fixture
def moving(source: Database, parts: Parts) -> Parrot:
    return Parrot(source, parts.database, parts.keys, parts.clock)


async def test_everything_of_a_parrot_comes_under_the_numbers_that_it_had(moving: Parrot, parts: Parts) -> None:
    moved = await moving.move_in(ADMIN)

    assert moved.brought == {
        "accounts": 3, "closed accounts": 1, "keys": 2, "tokens used": 132, "users": 2, "chats": 2, "messages": 3,
    }  # fmt: skip
    assert moved.renumbered.total() == moved.left_out.total() == 0
    made, changed = parrots.MADE.replace(tzinfo=UTC), parrots.CHANGED.replace(tzinfo=UTC)
    assert await rows(parts.database, "account", "id", "name", "active", "course", "created_at", "updated_at") == [
        (3, "alice", True, "Physics", made, changed),
        (7, "bob", False, "Physics", made, changed),
        (8, "carol", True, "Arts", made, changed),
    ]
    assert await rows(parts.database, "account_user", "id", "code", "name", "account_id", "created_at") == [
        (5, "s1", "Ann", 3, made),
        (6, "s2", None, None, made),
    ]
    assert await rows(parts.database, "conversation", "id", "account_id", "kind", "name", "next_sequence") == [
        (11, 3, "chat", "Homework", 3),
        (12, 7, "chat", "Nothing said", 0),
    ]
    settings = [orjson.loads(text) for (text,) in await rows(parts.database, "conversation", "settings")]
    assert settings[1] == {
        "model_type": "text_completion", "instruction_prefix": "I: ", "user_prefix": "U: ", "assistant_prefix": "A: ",
    }  # fmt: skip
    items = await rows(parts.database, "item", "id", "conversation_id", "role", "sequence", "created_at")
    assert items == [(21, 11, "system", 0, made), (22, 11, "user", 1, made), (25, 11, "assistant", 2, made)]
    *_, (content, details) = await rows(parts.database, "item", "content", "details")
    assert orjson.loads(content) == "Hi 👋"
    assert orjson.loads(details) == {"model_args": parrots.MODEL_ARGS, "usage": parrots.USAGE}


async def test_what_was_used_counts_and_the_books_are_in_order(moving: Parrot, parts: Parts) -> None:
    await moving.move_in(ADMIN)

    async with parts.database.reading() as session:
        every = {account.name: account for account in await accounts.every(session)}
    assert [(one.used_tokens, one.token_limit) for one in every.values()] == [(120, 100), (12, 10_000), (0, 10_000)]
    assert await violations(parts.database) == []
    told = await rows(parts.database, "usage_record", "account_id", "kind", "basis", "operation", "prompt_tokens")
    assert sorted(told) == [
        (3, "charge", "reported", "importParrot", 120),
        (7, "charge", "reported", "importParrot", 12),
    ]


@FROM_SQLITE
async def test_keys_go_on_working_but_those_of_closed_accounts(moving: Parrot, parts: Parts) -> None:
    await moving.move_in(ADMIN)

    authentication = Authentication(parts.keys, parts.clock)
    assert (await authentication.account(parrots.ALICES_KEY)).account_id == 3
    with pytest.raises(Unauthenticated):
        await authentication.account(parrots.BOBS_KEY)


@FROM_SQLITE
async def test_what_comes_later_gets_numbers_that_nobody_had(moving: Parrot, parts: Parts) -> None:
    await moving.move_in(ADMIN)

    assert (await parts.accounts.create("dora")).id == 9


@FROM_SQLITE
@pytest.mark.parametrize("renamed", [False, True])
async def test_a_second_time_is_refused_and_changes_nothing(moving: Parrot, parts: Parts, *, renamed: bool) -> None:
    await moving.move_in(ADMIN)
    if renamed:
        await parts.accounts.update(3, {"name": "alicia"}, ADMIN)
    before = await rows(parts.database, "account"), await rows(parts.database, "audit_record")

    with pytest.raises(AlreadyThere, match="imported already"):
        await moving.move_in(ADMIN)

    assert (await rows(parts.database, "account"), await rows(parts.database, "audit_record")) == before


@FROM_SQLITE
@ON_SQLITE
async def test_a_name_that_is_taken_is_told_and_nothing_is_brought(moving: Parrot, parts: Parts) -> None:
    await parts.accounts.create("carol")

    with pytest.raises(AlreadyThere, match="open here: carol"):
        await moving.move_in(ADMIN)

    assert await rows(parts.database, "account", "name") == [("carol",)]


@FROM_SQLITE
async def test_numbers_that_are_taken_change_with_all_that_refers_to_them(moving: Parrot, parts: Parts) -> None:
    for name in ("one", "two", "three"):
        await parts.accounts.create(name)

    moved = await moving.move_in(ADMIN)

    assert moved.renumbered == {"accounts": 1, "users": 0, "chats": 0, "messages": 0}
    [(alice,)] = [row for row in await rows(parts.database, "conversation", "account_id") if row != (7,)]
    assert (alice, "alice") in await rows(parts.database, "account", "id", "name")
    assert await violations(parts.database) == []


@FROM_SQLITE
async def test_a_rehearsal_says_the_same_and_keeps_nothing(moving: Parrot, parts: Parts) -> None:
    rehearsed = await moving.move_in(ADMIN, rehearses=True)

    assert await rows(parts.database, "account") == []
    assert rehearsed == await moving.move_in(ADMIN)


@FROM_SQLITE
@ON_SQLITE
async def test_what_belongs_to_nothing_is_left_out_and_counted(moving: Parrot, parts: Parts, source: Database) -> None:
    for statement in (
        "UPDATE chat SET account_id = 99 WHERE id = 12",
        "UPDATE message SET chat_id = 99 WHERE id = 25",
        "UPDATE account SET created_at = NULL, updated_at = NULL",
    ):
        await parrots.change(source.url, statement)

    moved = await moving.move_in(ADMIN)

    assert moved.left_out == {"chats": 1, "messages": 1}
    assert await rows(parts.database, "conversation", "id", "next_sequence") == [(11, 2)]
    assert set(await rows(parts.database, "account", "created_at")) == {(parts.clock.now(),)}
    assert await violations(parts.database) == []


@ON_SQLITE
async def test_another_database_is_no_parrot(parts: Parts, tmp_path: str) -> None:
    other = Database(parts.database.url)

    with pytest.raises(NoParrot, match=r"it lacks account.api_key, account.budget, account.usage, user, chat, message"):
        await Parrot(other, parts.database, parts.keys, parts.clock).move_in(ADMIN)

    await other.close()

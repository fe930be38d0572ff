"""Keys of another system go on to work by their digest, and nobody can use them to burden the database."""

import asyncio
from uuid import uuid4

import pytest

from llm_backend.domain.audit import SERVER
from llm_backend.domain.key_text import PUBLIC_ID, make_key
from llm_backend.errors import InvalidRequest, Unauthenticated
from llm_backend.storage.keys import Key
from tests.domain.parts import Parts

FOREIGN = "0b1f0f2e-9f0a-4f0e-8b0a-1c2d3e4f5a6b"


async def adopt(parts: Parts, account_id: int, text: str) -> Key:
    async with parts.database.begin() as session:
        return await parts.keys.adopt(session, account_id, text, SERVER)


async def test_a_key_that_was_taken_over_opens_its_account_and_is_revoked_as_any_other(parts: Parts) -> None:
    alice = await parts.accounts.create("alice")
    key = await adopt(parts, alice.id, FOREIGN)

    caller = await parts.authentication.account(FOREIGN)

    assert (caller.account_id, caller.key_id) == (alice.id, key.public_id)
    assert PUBLIC_ID.fullmatch(key.public_id)
    assert FOREIGN[:8] not in key.public_id + key.masked
    await parts.keys.revoke(key.public_id)
    parts.authentication.forget()
    assert not await parts.authentication.recognises(FOREIGN)


async def test_taking_a_key_over_twice_changes_nothing_and_never_moves_it(parts: Parts) -> None:
    alice, bob = await parts.accounts.create("alice"), await parts.accounts.create("bob")
    first = await adopt(parts, alice.id, FOREIGN)

    again = await adopt(parts, alice.id, FOREIGN)

    assert again.public_id == first.public_id
    assert len(await parts.keys.of_account(alice.id)) == 1
    with pytest.raises(InvalidRequest, match="another account"):
        await adopt(parts, bob.id, FOREIGN)


@pytest.mark.parametrize("text", ["", "short", "a b" * 10, "é" * 20, "x" * 129, "sk-lb-" + "x" * 62, "a\x00" * 10])
async def test_what_could_be_no_key_is_not_taken_over(parts: Parts, text: str) -> None:
    alice = await parts.accounts.create("alice")

    with pytest.raises(InvalidRequest):
        await adopt(parts, alice.id, text)


async def test_a_key_of_our_own_shape_is_taken_over_under_its_own_id(parts: Parts) -> None:
    alice = await parts.accounts.create("alice")
    text = make_key()

    key = await adopt(parts, alice.id, text)

    assert key.public_id == text[6:18]
    assert await parts.authentication.recognises(text)


async def test_texts_that_were_made_up_cost_one_question_in_ten_seconds_however_many_they_are(
    parts: Parts, asked: list[str]
) -> None:
    await adopt(parts, (await parts.accounts.create("alice")).id, FOREIGN)
    made_up = [str(uuid4()) for _ in range(50)]

    answers = await asyncio.gather(*map(parts.authentication.recognises, made_up))

    assert not any(answers)
    assert len([one for one in asked if "api_key" in one]) == 1
    parts.clock.advance(10)
    await parts.authentication.recognises(made_up[0])
    assert len([one for one in asked if "api_key" in one]) == 2


async def test_what_begins_as_our_keys_do_and_is_none_never_reaches_the_database(
    parts: Parts, asked: list[str]
) -> None:
    await adopt(parts, (await parts.accounts.create("alice")).id, FOREIGN)
    asked.clear()

    for wrong in ("sk-lb-" + "x" * 62, "sk-lb-0123456789ab", make_key()[:-1] + "!"):
        with pytest.raises(Unauthenticated):
            await parts.authentication.account(wrong)

    assert asked == []


async def test_a_key_taken_over_meanwhile_is_known_within_ten_seconds(parts: Parts) -> None:
    assert not await parts.authentication.recognises(FOREIGN)
    await adopt(parts, (await parts.accounts.create("alice")).id, FOREIGN)

    parts.clock.advance(10)

    assert await parts.authentication.recognises(FOREIGN)

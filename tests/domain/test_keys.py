import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from llm_backend.domain import keys as keys_module
from llm_backend.domain.authentication import Authentication
from llm_backend.domain.key_text import ALPHABET, KEY_PATTERN, base62, checksum, make_key, public_id_of
from llm_backend.domain.keys import Keys, NewKey
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import InvalidRequest, NotFound, Unauthenticated
from llm_backend.storage import keys as storage
from llm_backend.storage.driver import Plan
from tests.domain.parts import Parts


def test_a_key_has_the_published_shape_and_names_its_public_id() -> None:
    key = make_key()

    assert re.fullmatch(r"sk-lb-[0-9A-Za-z]{12}-[0-9A-Za-z]{49}", key)
    assert public_id_of(key) == key[6:18]


def test_no_two_keys_are_alike() -> None:
    assert len({make_key() for _ in range(1000)}) == 1000


@given(st.integers(0, 67), st.sampled_from(ALPHABET))
def test_one_mistyped_letter_is_noticed_without_asking_anyone(place: int, letter: str) -> None:
    key = make_key()
    wrong = key[:place] + letter + key[place + 1 :]

    if wrong == key:
        assert public_id_of(wrong)
    else:
        with pytest.raises(Unauthenticated):
            public_id_of(wrong)


@given(st.text(max_size=200))
def test_what_is_no_key_is_refused_whatever_it_is(token: str) -> None:
    with pytest.raises(Unauthenticated):
        public_id_of(token)


def test_base62_counts_as_numbers_do() -> None:
    assert [base62(number, 2) for number in (0, 9, 10, 61, 62, 62 * 62 - 1)] == ["00", "09", "0A", "0z", "10", "zz"]


def test_32_bytes_fit_into_43_digits_and_a_crc_into_6() -> None:
    assert 62**43 >= 2**256
    assert 62**6 >= 2**32
    assert checksum("sk-lb-") == checksum("sk-lb-")


async def test_the_database_holds_neither_the_key_nor_what_would_make_it(parts: Parts) -> None:
    _, made = await parts.alice()

    async with parts.database.reading() as session:
        row = (await session.execute(text("SELECT * FROM api_key"))).mappings().one()

    secret = made.text.rpartition("-")[2]
    assert not [value for value in row.values() if secret[:8] in str(value)]
    assert row["digest"] == parts.keys.digest(made.text)
    assert (row["last4"], row["pepper_version"]) == (made.text[-4:], keys_module.PEPPER_VERSION)
    assert made.text not in repr(made)


def test_a_digest_depends_on_the_master_secret_and_on_every_letter(parts: Parts) -> None:
    key = make_key()
    others = Keys(parts.database, Secrets(b"x" * 32), parts.clock)

    assert parts.keys.digest(key) != others.digest(key)
    assert parts.keys.digest(key) != parts.keys.digest(key.swapcase())


async def test_a_key_opens_the_account_it_was_made_for(parts: Parts) -> None:
    alice, _ = await parts.alice()
    second = await parts.keys.create(alice.id, "laptop", scopes={"models"})

    caller = await parts.keys.authenticate(second.key.public_id, parts.keys.digest(second.text))

    assert (caller.account_id, caller.account_name, caller.key_id) == (alice.id, "alice", second.key.public_id)
    assert caller.scopes == {"models"}


async def test_keys_are_listed_oldest_first_and_only_the_accounts_own(parts: Parts) -> None:
    alice, first = await parts.alice()
    second = await parts.keys.create(alice.id)
    await parts.accounts.create_with_key("bob", parts.keys)

    assert await parts.keys.of_account(alice.id) == [first.key, second.key]


async def test_a_wrong_secret_under_a_known_id_and_an_unknown_id_are_refused_alike(parts: Parts) -> None:
    _, made = await parts.alice()

    refusals = []
    for public_id in (made.key.public_id, "000000000000"):
        with pytest.raises(Unauthenticated) as refused:
            await parts.keys.authenticate(public_id, parts.keys.digest(make_key()))
        refusals.append(refused.value.envelope())

    assert refusals[0] == refusals[1]


async def test_an_expired_key_is_refused_from_that_moment(parts: Parts) -> None:
    alice, _ = await parts.alice()
    made = await parts.keys.create(alice.id, expires_at=parts.clock.now() + timedelta(seconds=60))
    digest = parts.keys.digest(made.text)
    parts.clock.advance(59)
    await parts.keys.authenticate(made.key.public_id, digest)

    parts.clock.advance(1)

    with pytest.raises(Unauthenticated):
        await parts.keys.authenticate(made.key.public_id, digest)


async def test_a_revoked_key_is_refused_and_keeps_the_first_time(parts: Parts) -> None:
    alice, made = await parts.alice()
    first = (await parts.keys.revoke(made.key.public_id)).revoked_at
    again = (await parts.keys.revoke(made.key.public_id)).revoked_at

    with pytest.raises(Unauthenticated):
        await parts.keys.authenticate(made.key.public_id, parts.keys.digest(made.text))

    assert [key.revoked_at for key in await parts.keys.of_account(alice.id)] == [first] == [again]


async def test_the_key_of_a_closed_account_is_refused(parts: Parts) -> None:
    alice, made = await parts.alice()
    await parts.accounts.close(alice.id)

    with pytest.raises(Unauthenticated):
        await parts.keys.authenticate(made.key.public_id, parts.keys.digest(made.text))


async def recognised(parts: Parts, made: NewKey) -> bool:
    return await Authentication(parts.keys, parts.clock).recognises(made.text)


async def test_a_rotated_key_is_good_until_its_grace_is_over(parts: Parts) -> None:
    alice, old = await parts.alice()

    new = await parts.keys.rotate(old.key.public_id, grace_seconds=60)

    assert (new.key.account_id, new.key.scopes) == (alice.id, old.key.scopes)
    parts.clock.advance(59)
    assert await recognised(parts, old)
    parts.clock.advance(1)
    assert not await recognised(parts, old)
    assert await recognised(parts, new)


async def test_without_grace_a_rotated_key_is_revoked_and_rotates_no_more(parts: Parts) -> None:
    _, old = await parts.alice()

    await parts.keys.rotate(old.key.public_id)

    assert not await recognised(parts, old)
    with pytest.raises(InvalidRequest, match="not in use"):
        await parts.keys.rotate(old.key.public_id)


async def test_a_grace_never_lengthens_the_life_of_a_key(parts: Parts) -> None:
    alice, _ = await parts.alice()
    end = parts.clock.now() + timedelta(seconds=30)
    old = await parts.keys.create(alice.id, expires_at=end)

    new = await parts.keys.rotate(old.key.public_id, grace_seconds=3600)

    keys = {key.public_id: key for key in await parts.keys.of_account(alice.id)}
    assert {keys[made.key.public_id].expires_at for made in (old, new)} == {end}


@pytest.mark.parametrize("grace_seconds", [-1, 24 * 3600 + 1])
async def test_a_grace_is_a_day_at_most(parts: Parts, grace_seconds: int) -> None:
    _, made = await parts.alice()

    with pytest.raises(InvalidRequest, match="grace"):
        await parts.keys.rotate(made.key.public_id, grace_seconds=grace_seconds)


async def test_of_many_rotations_of_one_key_one_makes_a_key(parts: Parts) -> None:
    alice, old = await parts.alice()

    results = await asyncio.gather(*(parts.keys.rotate(old.key.public_id) for _ in range(4)), return_exceptions=True)

    assert len([result for result in results if isinstance(result, InvalidRequest)]) == 3
    assert len(await parts.keys.of_account(alice.id)) == 2


async def test_the_day_of_the_last_use_is_kept_once_a_day(parts: Parts) -> None:
    alice, made = await parts.alice()
    days = []

    for hours in (0, 1, 24):
        parts.clock.advance(hours * 3600)
        await parts.keys.authenticate(made.key.public_id, parts.keys.digest(made.text))
        await parts.database.settled()
        days += [key.last_used_on for key in await parts.keys.of_account(alice.id)]

    today = parts.clock.now().date()
    assert days == [today - timedelta(days=1), today - timedelta(days=1), today]


async def test_a_day_that_was_kept_never_goes_back(parts: Parts) -> None:
    alice, made = await parts.alice()
    today = parts.clock.now().date()

    for day in (today, today - timedelta(days=1)):
        await parts.database.write(storage.noting([made.key.public_id], day, is_sqlite=parts.database.is_sqlite))

    assert [key.last_used_on for key in await parts.keys.of_account(alice.id)] == [today]


async def test_many_keys_used_at_once_are_read_and_noted_in_few_turns(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, _ = await parts.alice()
    made = [await parts.keys.create(alice.id) for _ in range(100)]
    turns = {"read": 0, "write": 0}
    for way, original in (("read", parts.database.read), ("write", parts.database.write)):

        def counted(plan: Plan[Any], way: str = way, original: Any = original) -> Any:
            turns[way] += 1
            return original(plan)

        monkeypatch.setattr(parts.database, way, counted)
    callers = await asyncio.gather(
        *(parts.keys.authenticate(new.key.public_id, parts.keys.digest(new.text)) for new in made)
    )
    await parts.database.settled()

    assert [caller.key_id for caller in callers] == [new.key.public_id for new in made]
    used = [key.public_id for key in await parts.keys.of_account(alice.id) if key.last_used_on]
    assert sorted(used) == sorted(new.key.public_id for new in made)
    assert turns == {"read": 1, "write": 1}


async def test_a_key_for_no_account_or_a_closed_one_is_not_made(parts: Parts) -> None:
    alice, _ = await parts.alice()
    await parts.accounts.close(alice.id)

    for account_id in (alice.id, 404):
        with pytest.raises(NotFound):
            await parts.keys.create(account_id)


@pytest.mark.parametrize("public_id", ["000000000000", "a\x00b", "\ud800", ""])
async def test_revoking_what_is_no_key_is_not_found(parts: Parts, public_id: str) -> None:
    with pytest.raises(NotFound):
        await parts.keys.revoke(public_id)


@pytest.mark.parametrize(
    ("name", "scopes", "param"),
    [("x" * 81, ["models"], "name"), ("a\x00b", ["models"], "name"), ("", ["root"], "scopes")],
)
async def test_names_and_scopes_that_are_none_are_refused(
    parts: Parts, name: str, scopes: list[str], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await parts.keys.create(1, name, scopes=scopes)

    assert refused.value.param == param


async def test_a_request_that_is_cancelled_while_its_key_is_made_leaves_all_or_nothing(parts: Parts) -> None:
    alice, first = await parts.alice()
    request = asyncio.create_task(parts.keys.create(alice.id))
    await asyncio.sleep(0)
    request.cancel()
    await asyncio.wait([request])
    await parts.database.settled()

    made = await parts.keys.of_account(alice.id)

    assert made[0] == first.key
    assert len(made) == 2


def test_the_pattern_finds_keys_in_other_text() -> None:
    key = make_key()

    assert [found[0] for found in KEY_PATTERN.finditer(f'{{"api_key": "{key}"}}')] == [key]

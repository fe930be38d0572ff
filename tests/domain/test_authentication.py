import asyncio
import hmac

import pytest
from sqlalchemy import text

from llm_backend.domain import keys as keys_module
from llm_backend.domain.allowances import Allowance
from llm_backend.domain.authentication import REMEMBERED_SECONDS, AdminToken, Authentication, OpenDoor
from llm_backend.domain.callers import Callers
from llm_backend.domain.identity import Caller
from llm_backend.domain.key_text import make_key
from llm_backend.errors import DatabaseUnavailable, LLMBackendError, Unauthenticated
from llm_backend.storage import schema
from llm_backend.storage.database import Database
from tests.clocks import SetClock
from tests.domain.parts import Parts

NO_KEYS = [
    None,
    "",
    "sk-lb-",
    "dummy",
    "' OR 1=1 --",
    "'; SELECT pg_sleep(10); --",
    "sk-lb-abcdefghijkl-' UNION SELECT digest FROM api_key --",
    "sk-lb-abcdefghijkl-" + "0" * 49,
    "sk-lb-abcdefghijkl-" + "0" * 49 + "\n",
    "sk-lb-äbcdefghijkl-" + "0" * 49,
    "sk-lb-\x00bcdefghijkl-" + "0" * 49,
    "sk-lb-" + "\u0660" * 12 + "-" + "0" * 49,
    "\ud800",
    "sk-lb-abcdefghijkl-" + "0" * 1_000_000,
]


@pytest.mark.parametrize("token", NO_KEYS, ids=range(len(NO_KEYS)))
async def test_what_is_no_key_is_refused_before_the_database_hears_of_it(
    parts: Parts, asked: list[str], token: str | None
) -> None:
    with pytest.raises(Unauthenticated):
        await parts.authentication.account(token)

    assert asked == []


async def test_only_a_missing_key_is_told_as_such(parts: Parts) -> None:
    said = await refusal(parts.authentication, None)

    assert "No API key was sent." in str(said)
    assert "invalid_api_key" in str(said)


async def test_every_cause_is_refused_in_the_same_words(parts: Parts) -> None:
    _, revoked = await parts.alice()
    await parts.keys.revoke(revoked.key.public_id)
    known_id = revoked.text[:19] + make_key()[19:]

    said = [await refusal(parts.authentication, token) for token in ("x", make_key(), known_id, revoked.text)]

    assert said == [Unauthenticated().envelope()] * 4


async def refusal(authentication: Authentication, token: str | None) -> object:
    with pytest.raises(LLMBackendError) as refused:
        await authentication.account(token)
    return refused.value.envelope()


def lookups(asked: list[str]) -> list[str]:
    """Of all statements those that look for a key; that one was used is written beside."""
    return [one for one in asked if one.startswith("SELECT") and "api_key" in one]


async def test_a_good_key_asks_the_database_once_a_second(parts: Parts, asked: list[str]) -> None:
    _, made = await parts.alice()
    callers = [await parts.authentication.account(made.text) for _ in range(5)]
    parts.clock.advance(0.999)
    callers.append(await parts.authentication.account(made.text))
    asked_within_the_second = len(lookups(asked))

    parts.clock.advance(0.001)
    callers.append(await parts.authentication.account(made.text))

    assert len(set(callers)) == 1
    assert asked_within_the_second == 1
    assert len(lookups(asked)) == 2


async def test_many_who_come_with_one_key_at_once_ask_the_database_once(parts: Parts, asked: list[str]) -> None:
    _, made = await parts.alice()

    callers = await asyncio.gather(*(parts.authentication.account(made.text) for _ in range(5)))

    assert len(set(callers)) == 1
    assert len(lookups(asked)) == 1


async def test_a_made_up_key_of_the_right_shape_asks_the_database_once_a_second(parts: Parts, asked: list[str]) -> None:
    key = make_key()
    for _ in range(5):
        await refusal(parts.authentication, key)
    within_the_second = len(asked)

    parts.clock.advance(1)
    await refusal(parts.authentication, key)

    assert within_the_second > 0
    assert len(asked) == 2 * within_the_second


async def test_a_revoked_key_is_refused_within_the_second(parts: Parts) -> None:
    _, made = await parts.alice()
    await parts.authentication.account(made.text)
    await parts.keys.revoke(made.key.public_id)
    parts.clock.advance(1)

    with pytest.raises(Unauthenticated):
        await parts.authentication.account(made.text)


async def test_a_closed_accounts_key_that_was_just_used_is_refused_once_forgotten(parts: Parts) -> None:
    alice, made = await parts.alice()
    await parts.authentication.account(made.text)
    await parts.accounts.close(alice.id)

    parts.authentication.forget()

    assert not await parts.authentication.recognises(made.text)


async def test_what_was_asked_before_a_revocation_is_not_remembered_after_it(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, made = await parts.alice()
    found, goes_on, ask = asyncio.Event(), asyncio.Event(), parts.keys.authenticate

    async def held_back(public_id: str, digest: bytes) -> Caller:
        caller = await ask(public_id, digest)
        found.set()
        await goes_on.wait()
        return caller

    monkeypatch.setattr(parts.keys, "authenticate", held_back)
    earlier = asyncio.create_task(parts.authentication.account(made.text))
    await found.wait()
    await parts.keys.revoke(made.key.public_id)
    parts.authentication.forget()
    goes_on.set()
    await earlier

    assert not await parts.authentication.recognises(made.text)


async def test_what_is_remembered_is_as_old_as_the_question(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    _, made = await parts.alice()
    ask = parts.keys.authenticate

    async def late(public_id: str, digest: bytes) -> Caller:
        caller = await ask(public_id, digest)
        parts.clock.advance(REMEMBERED_SECONDS)
        return caller

    monkeypatch.setattr(parts.keys, "authenticate", late)
    await parts.authentication.account(made.text)
    await parts.keys.revoke(made.key.public_id)

    assert not await parts.authentication.recognises(made.text)


async def test_keys_that_were_made_up_do_not_push_out_good_ones(parts: Parts, asked: list[str]) -> None:
    _, made = await parts.alice()
    small = Authentication(parts.keys, parts.clock, remembered=2)
    await small.account(made.text)
    for _ in range(5):
        await refusal(small, make_key())
    await parts.database.settled()  # the day of a first use is noted beside all else
    asked.clear()

    await small.account(made.text)

    assert asked == []
    assert len(small._refused._found) == 2


async def test_of_more_keys_than_are_remembered_the_one_used_longest_ago_is_forgotten(
    parts: Parts, asked: list[str]
) -> None:
    alice, first = await parts.alice()
    second, third = await parts.keys.create(alice.id), await parts.keys.create(alice.id)
    small = Authentication(parts.keys, parts.clock, remembered=2)
    for made in (first, second, first, third):
        await small.account(made.text)
    await parts.database.settled()
    asked.clear()

    await small.account(first.text)
    assert asked == []
    await small.account(second.text)
    assert asked != []


async def test_an_unknown_id_is_compared_all_the_same(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(known: bytes, given: bytes) -> bool:
        compared.append((known, given))
        return hmac.compare_digest(known, given)

    monkeypatch.setattr(keys_module, "compare_digest", compare)

    key = make_key()
    await refusal(parts.authentication, key)

    assert compared == [(bytes(32), parts.keys.digest(key))]


async def test_an_outage_is_said_and_not_remembered(parts: Parts) -> None:
    _, made = await parts.alice()
    away = Parts.of(Database("postgresql://postgres@127.0.0.1:1/d"))
    with pytest.raises(DatabaseUnavailable):
        await away.authentication.account(made.text)

    assert not away.authentication._refused._found
    await away.database.close()


async def test_a_request_that_leaves_while_its_key_is_looked_up_leaves_the_database_whole(parts: Parts) -> None:
    _, made = await parts.alice()
    for _ in range(20):
        parts.authentication.forget()
        request = asyncio.create_task(parts.authentication.account(made.text))
        await asyncio.sleep(0)
        request.cancel()
        await asyncio.wait([request])
        assert request.cancelled()

    assert (await parts.authentication.account(made.text)).key_id == made.key.public_id


async def test_the_open_door_lets_everyone_in_as_one_account(parts: Parts) -> None:
    door = OpenDoor(await parts.accounts.ensure("open"))

    callers = {await door.account(token) for token in (None, "dummy", make_key())}

    assert [(caller.account_name, caller.key_id) for caller in callers] == [("open", None)]


async def test_whether_anything_is_kept_for_the_account_is_known_of_whoever_asks(parts: Parts) -> None:
    account, key = await parts.alice()
    await parts.accounts.update(account.id, {"stores": False})
    door = OpenDoor(await parts.accounts.find("alice"))

    assert [(await way.account(key.text)).stores for way in (parts.authentication, door)] == [False, False]


async def test_who_asked_without_a_key_is_found_again_with_all_that_the_account_may(parts: Parts) -> None:
    account, _ = await parts.alice()
    await parts.accounts.update(account.id, {"requests_per_minute": 5, "tokens_per_minute": 7, "stores": False})
    await parts.accounts.update(account.id, {"concurrent_requests": 2, "fits": True})
    asked = await OpenDoor(await parts.accounts.find("alice")).account(None)

    found = await Callers(parts.database, parts.clock).find(account.id, None)

    assert found == asked
    assert found.limits_of_account == Allowance(5, 7, 2)


def admits(admin: AdminToken, token: str | None) -> bool:
    try:
        admin.check(token)
    except Unauthenticated:
        return False
    return True


def test_the_administrator_has_two_tokens_at_most_and_both_are_good() -> None:
    admin = AdminToken(["old-token", "new-token"], SetClock())

    assert [admits(admin, token) for token in ("old-token", "new-token", "other", "", None, "\ud800")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    with pytest.raises(ValueError, match="At most 2"):
        AdminToken(["a", "b", "c"], SetClock())


@pytest.mark.parametrize("tokens", [[], [""]])
def test_without_a_token_nobody_is_the_administrator(tokens: list[str]) -> None:
    admin = AdminToken(tokens, SetClock())

    assert not any(admits(admin, token) for token in ("", None, "x"))


def test_the_administrators_token_itself_is_not_kept() -> None:
    admin = AdminToken(["old-token"], SetClock())

    assert "old-token" not in repr(vars(admin))


async def test_a_database_without_tables_is_a_fault_of_ours_and_not_a_wrong_key(empty_database_url: str) -> None:
    await schema.upgrade(empty_database_url)
    parts = Parts.of(Database(empty_database_url))
    async with parts.database.begin() as session:
        await session.execute(text("DROP TABLE api_key"))

    with pytest.raises(Exception, match="api_key") as failed:
        await parts.authentication.account(make_key())

    assert not isinstance(failed.value, LLMBackendError)
    await parts.database.close()

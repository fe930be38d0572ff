import asyncio

import pytest

from llm_backend.domain.accounts import Accounts
from llm_backend.errors import InvalidRequest, NotFound
from tests.domain.parts import Parts


@pytest.fixture
def accounts(parts: Parts) -> Accounts:
    return parts.accounts


async def test_accounts_are_found_by_name_and_by_number(accounts: Accounts) -> None:
    alice = await accounts.create("alice")

    assert await accounts.find("alice") == alice
    assert await accounts.find(str(alice.id)) == alice
    assert alice.active


async def test_a_name_that_looks_like_a_number_is_a_name_first(accounts: Accounts) -> None:
    await accounts.create("alice")
    one = await accounts.create("1")

    assert await accounts.find("1") == one


@pytest.mark.parametrize("reference", ["nobody", "404", "9" * 30, "-1", "", "a\x00b", "\ud800"])
async def test_who_is_not_there_is_not_found(accounts: Accounts, reference: str) -> None:
    with pytest.raises(NotFound):
        await accounts.find(reference)


async def test_of_many_that_race_for_a_name_one_gets_it(accounts: Accounts) -> None:
    results = await asyncio.gather(*(accounts.create("alice") for _ in range(8)), return_exceptions=True)

    refusals = [result for result in results if isinstance(result, InvalidRequest)]
    assert len(refusals) == 7
    assert {refusal.code for refusal in refusals} == {"account_exists"}
    assert len(await accounts.every()) == 1


async def test_many_that_need_the_same_account_all_get_it(accounts: Accounts) -> None:
    found = await asyncio.gather(*(accounts.ensure("open") for _ in range(8)))

    assert found == await accounts.every() * 8


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b", "line\nbreak", "\ud800"])
async def test_what_is_no_name_is_refused(accounts: Accounts, name: str) -> None:
    for attempt in (accounts.create, accounts.ensure):
        with pytest.raises(InvalidRequest) as refused:
            await attempt(name)
        assert refused.value.param == "name"


@pytest.mark.parametrize("days", [-1, 36_501])
async def test_nothing_is_kept_for_less_than_no_day_or_more_than_a_century(accounts: Accounts, days: int) -> None:
    account = await accounts.create("alice")

    with pytest.raises(InvalidRequest, match="from 0 to 36500") as refused:
        await accounts.update(account.id, {"retention_days": days})

    assert refused.value.param == "retention_days"


async def test_closing_frees_the_name_and_keeps_the_row(parts: Parts) -> None:
    first = await parts.accounts.create("alice")
    await parts.accounts.close(first.id)
    await parts.accounts.close(first.id)

    second = await parts.accounts.create("alice")

    assert second.id != first.id
    closed = await parts.accounts.find(str(first.id))
    assert not closed.active
    assert closed.updated_at is not None
    assert await parts.accounts.find("alice") == second


async def test_accounts_are_listed_by_name_closed_ones_too(accounts: Accounts) -> None:
    bob, alice = await accounts.create("bob"), await accounts.create("alice")
    await accounts.close(bob.id)

    assert [(account.id, account.active) for account in await accounts.every()] == [(alice.id, True), (bob.id, False)]


async def test_an_account_whose_name_is_taken_leaves_no_key_behind(parts: Parts) -> None:
    alice, first = await parts.alice()

    with pytest.raises(InvalidRequest):
        await parts.alice()

    assert await parts.keys.of_account(alice.id) == [first.key]

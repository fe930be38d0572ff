import asyncio

import pytest

from llm_backend.errors import Json
from tests.handlers.administering import Admin


@pytest.mark.parametrize(("code", "kept"), [("s1", "s1"), (12345, "12345"), ("007", "007"), (7.0, "7")])
async def test_a_code_is_a_number_or_a_text(admin: Admin, code: Json, kept: str) -> None:
    made = await admin.user(code)

    assert (made["code"], made["name"], made["account_id"], made["account"]) == (kept, None, None, None)
    assert await admin.ask("GET", "/users") == [made]


async def test_the_account_of_a_user_is_a_number_or_its_digits_or_null(admin: Admin) -> None:
    account = await admin.account("alice", budget=10)

    made = [await admin.user(code, account_id=of) for code, of in enumerate([account["id"], str(account["id"]), None])]

    assert [user["account_id"] for user in made] == [account["id"], account["id"], None]
    assert made[0]["account"]["name"] == "alice"
    assert set(made[0]["account"]) == set(account) - {"users"}
    assert account["api_key"] not in str(made)
    assert await admin.ask("GET", "/users") == made


async def test_users_are_listed_by_code(admin: Admin) -> None:
    for code in ("b", 10, "a", 9, "B"):
        await admin.user(code)

    assert [user["code"] for user in await admin.ask("GET", "/users")] == ["10", "9", "B", "a", "b"]


async def test_a_taken_code_is_refused_and_of_two_at_once_one_gets_it(admin: Admin) -> None:
    answers = await asyncio.gather(*(admin.client.post("/api/users", json={"code": "s1"}) for _ in range(2)))

    assert sorted(answer.status_code for answer in answers) == [201, 400]
    assert await admin.refused("POST", "/users", {"code": "s1"}) == "User with code s1 already exists"
    assert len(await admin.ask("GET", "/users")) == 1


@pytest.mark.parametrize("closed", [True, False])
async def test_a_user_of_an_account_that_is_none_or_closed_is_not_made(admin: Admin, *, closed: bool) -> None:
    account_id = (await admin.account("alice"))["id"] if closed else 404
    if closed:
        await admin.ask("DELETE", f"/accounts/{account_id}")

    said = await admin.refused("POST", "/users", {"code": 1, "account_id": account_id})

    assert said == f"Account with id {account_id} does not exist"
    assert await admin.ask("GET", "/users") == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "'code'"),
        ({"code": None}, "'code'"),
        ({"code": ""}, "'code'"),
        ({"code": "x" * 81}, "'code'"),
        ({"code": "a\x00"}, "code"),
        ({"code": "a", "name": "\x00"}, "name"),
        ({"code": "a", "account_id": "x"}, "'account_id'"),
        ({"code": "a", "account_id": True}, "'account_id'"),
        ({"code": "a", "created_at": "now"}, "'created_at'"),
    ],
)
async def test_what_is_wrong_is_a_line_that_names_the_field(admin: Admin, wrong: Json, field: str) -> None:
    assert field in await admin.refused("POST", "/users", wrong)

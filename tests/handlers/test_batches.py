"""Many accounts at once: all of them, or none."""

import asyncio

from llm_backend.errors import Json
from tests.handlers.administering import Admin, key_status
from tests.serving import Running


async def names(admin: Admin) -> list[str]:
    return [account["name"] for account in await admin.ask("GET", "/accounts")]


async def test_many_accounts_are_made_with_their_keys_and_users(running: Running, admin: Admin) -> None:
    known = await admin.user("s1", name="Sam")
    rows: Json = [
        {"name": "b", "course": "Physics", "budget": 10, "users": ["s1", 2]},
        {"name": "a", "budget": None, "renewal": "month", "budget_microusd": 5},
    ]

    made = await admin.ask("POST", "/account_batches", {"accounts": rows}, 201)

    assert [(each["name"], each["course"], each["budget"]) for each in made] == [
        ("b", "Physics", 10),
        ("a", None, None),
    ]
    assert [user["code"] for user in made[0]["users"]] == ["s1", "2"]
    assert made[0]["users"][0]["id"] == known["id"]
    assert (made[1]["renewal"], made[1]["budget_microusd"]) == ("month", 5)
    assert [await key_status(running, each["api_key"]) for each in made] == [200, 200]
    audited = await admin.ask("GET", "/audit?target_kind=account")
    assert [each["operation"] for each in audited] == ["create"] * len(audited)


async def test_one_wrong_row_and_none_is_made_and_each_wrong_field_is_named(admin: Admin) -> None:
    await admin.account("taken")
    rows: Json = [
        {"name": "good", "users": ["new"]},
        {"name": "x\x00"},
        {"name": "twice"},
        {"name": "twice"},
        {"name": "zone", "time_zone": "Mars/Base"},
        {"name": "term", "renewal": "term"},
        {"name": "members", "users": ["new"]},
    ]

    said = await admin.refused("POST", "/account_batches", {"accounts": rows})
    taken = await admin.refused("POST", "/account_batches", {"accounts": [{"name": "fine"}, {"name": "taken"}]})

    assert said.startswith("accounts[0].users: Two rows have the user new; accounts[1].name: ")
    assert "accounts[2].name: Two rows have this name" in said
    assert taken == "accounts[1].name: Account with name taken already exists"
    assert await names(admin) == ["taken", "tests"]
    assert await admin.ask("GET", "/users") == []


async def test_of_many_wrong_rows_the_first_are_told_and_how_many_more(admin: Admin) -> None:
    rows: Json = [{"name": " "} for _ in range(9)]

    said = await admin.refused("POST", "/account_batches", {"accounts": rows})

    assert said.startswith("accounts[0].name: ")
    assert len(said) <= 300


async def test_a_row_that_has_no_accounts_shape_is_named_too(admin: Admin) -> None:
    rows: Json = [{"name": "a"}, {"name": "b", "budget": -1}]

    assert "'accounts[1].budget'" in await admin.refused("POST", "/account_batches", {"accounts": rows})
    assert "accounts" in await admin.refused("POST", "/account_batches", {"accounts": []})
    assert await names(admin) == ["tests"]


async def test_of_two_batches_with_one_name_at_once_one_is_made_and_the_other_told(admin: Admin) -> None:
    bodies = [{"accounts": [{"name": f"only {n}", "users": ["both"]}, {"name": "both"}]} for n in range(2)]

    answers = await asyncio.gather(*(admin.client.post("/api/account_batches", json=body) for body in bodies))

    assert sorted(answer.status_code for answer in answers) == [201, 400]
    [refused] = [answer.json()["error"] for answer in answers if answer.status_code == 400]
    assert refused == "accounts[1].name: Account with name both already exists"
    assert len(await names(admin)) == 3

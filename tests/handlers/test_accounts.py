"""Accounts by the administrator's API, as the clients of `/api` know it."""

import asyncio
import re

import httpx
import pytest

from llm_backend.domain.keys import public_id_of
from llm_backend.errors import Json
from llm_backend.storage import accounts, budgets, usage
from tests.handlers.administering import Admin, key_status
from tests.serving import Running

MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
FIELDS = {"id", "created_at", "updated_at", "name", "users", "api_key", "budget", "course", "usage", "active"}
BESIDE = {
    "budget_microusd": None, "usage_microusd": 0, "renewal": "never", "carries_over": False, "terms": None,
    "time_zone": "UTC", "fits": False, "stores": True, "retention_days": None, "requests_per_minute": None,
    "tokens_per_minute": None, "concurrent_requests": None,
}  # fmt: skip
HELLO: Json = {"model": "echo", "messages": [{"role": "user", "content": "Hello there"}]}


async def names(admin: Admin, query: str = "") -> list[str]:
    return [account["name"] for account in await admin.ask("GET", f"/accounts{query}")]


async def test_an_account_is_made_with_a_key_that_is_told_once_and_works(running: Running, admin: Admin) -> None:
    made = await admin.account("alice", course="Physics", budget=1000)

    assert set(made) == FIELDS | BESIDE.keys()
    assert {name: made[name] for name in BESIDE} == BESIDE
    assert (made["name"], made["course"], made["budget"], made["usage"]) == ("alice", "Physics", 1000, 0)
    assert (made["active"], made["users"], made["updated_at"]) == (True, [], None)
    assert MOMENT.fullmatch(made["created_at"])
    assert await key_status(running, made["api_key"]) == 200
    masked = f"sk-lb-{public_id_of(made['api_key'])}…{made['api_key'][-4:]}"
    expected = made | {"api_key": masked}
    assert await admin.ask("GET", f"/accounts/{made['id']}") == expected
    assert expected in await admin.ask("GET", "/accounts")


async def test_course_and_budget_may_be_absent_or_null(admin: Admin) -> None:
    absent, null = await admin.account("absent"), await admin.account("null", course=None, budget=None, users=None)

    assert [(made["course"], made["budget"]) for made in (absent, null)] == [(None, None)] * 2


async def test_accounts_are_listed_by_name_and_filtered(running: Running, admin: Admin) -> None:
    for name in ("beta", "Alpha", "100%", "Éclair"):
        await admin.account(name)
    async with running.database.begin() as session:
        for account in await accounts.every(session):
            [whole] = await budgets.of_account(session, account.id)
            [period] = await budgets.periods(session, whole.id)
            await budgets.charge(session, period.id, {"Alpha": 10, "beta": 11}.get(account.name, 0), 0)

    assert await names(admin) == ["100%", "Alpha", "beta", "tests", "Éclair"]
    assert await names(admin, "?name=A") == ["Alpha", "beta", "Éclair"]
    assert await names(admin, "?name=%25") == ["100%"]
    assert await names(admin, "?name=éc") == ["Éclair"]
    assert await names(admin, "?name=%00") == []
    assert await names(admin, "?usage=10") == ["beta"]
    assert await names(admin, "?usage=-1&active=TRUE&name=t") == ["beta", "tests"]


@pytest.mark.parametrize("usage", ["x", "", "1.5", "9" * 40])
async def test_usage_that_is_no_integer_is_told_so(admin: Admin, usage: str) -> None:
    said = await admin.refused("GET", f"/accounts?usage={usage}")

    assert said == f"Usage {usage} is not a valid integer"


@pytest.mark.parametrize("active", ["false", "False", "1", ""])
async def test_only_true_asks_for_open_accounts(admin: Admin, active: str) -> None:
    made = await admin.account("gone")
    await admin.ask("DELETE", f"/accounts/{made['id']}")

    assert await names(admin, f"?active={active}") == ["gone"]


async def test_a_taken_name_is_refused_on_post_and_put(admin: Admin) -> None:
    await admin.account("alice")
    bob = await admin.account("bob")

    said = [
        await admin.refused("POST", "/accounts", {"name": "alice"}),
        await admin.refused("PUT", f"/accounts/{bob['id']}", {"name": "alice"}),
    ]

    assert said == ["Account with name alice already exists"] * 2
    assert (await admin.ask("GET", f"/accounts/{bob['id']}"))["name"] == "bob"


async def test_of_two_that_make_one_name_at_once_one_gets_it(admin: Admin) -> None:
    answers = await asyncio.gather(*(admin.client.post("/api/accounts", json={"name": "one"}) for _ in range(2)))

    assert sorted(answer.status_code for answer in answers) == [201, 400]
    assert await names(admin, "?name=one") == ["one"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "'name'"),
        ({"name": "x" * 81}, "'name'"),
        ({"name": ""}, "'name'"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "  "}, "name"),
        ({"name": 7}, "'name'"),
        ({"name": "a", "course": "x" * 81}, "'course'"),
        ({"name": "a", "course": "\x00"}, "course"),
        ({"name": "a", "budget": -1}, "'budget'"),
        ({"name": "a", "budget": "1"}, "'budget'"),
        ({"name": "a", "users": [0]}, "'users[0]'"),
        ({"name": "a", "usage": 0}, "'usage'"),
        ({"name": "a", "id": 7}, "'id'"),
    ],
)
async def test_what_is_wrong_is_a_line_that_names_the_field(admin: Admin, wrong: Json, field: str) -> None:
    assert field in await admin.refused("POST", "/accounts", wrong)


async def test_what_is_given_is_changed_and_nothing_else(admin: Admin) -> None:
    made = await admin.account("alice", course="Physics", budget=5)

    renamed = await admin.ask("PUT", f"/accounts/{made['id']}", {"name": "Alice", "budget": 1e3})
    emptied = await admin.ask("PUT", f"/accounts/{made['id']}", {"course": None, "budget": None})

    assert (renamed["name"], renamed["course"], renamed["budget"]) == ("Alice", "Physics", 1000)
    assert MOMENT.fullmatch(renamed["updated_at"])
    assert (emptied["name"], emptied["course"], emptied["budget"]) == ("Alice", None, None)
    assert await admin.ask("PUT", f"/accounts/{made['id']}", {}) == emptied


async def test_users_are_given_on_post_and_put_and_move_between_accounts(admin: Admin) -> None:
    one, two, three = [(await admin.user(code))["id"] for code in ("1", "2", "3")]

    async def members(account: Json) -> list[int]:
        return [user["id"] for user in (await admin.ask("GET", f"/accounts/{account['id']}"))["users"]]

    first = await admin.account("first", users=[two, one])
    assert [user["id"] for user in first["users"]] == [one, two]
    assert set(first["users"][0]) == {"id", "created_at", "updated_at", "name", "code", "account_id"}

    second = await admin.account("second", users=[two])
    assert (await members(first), await members(second)) == ([one], [two])

    changed = await admin.ask("PUT", f"/accounts/{second['id']}", {"users": [one, three]})
    assert [user["id"] for user in changed["users"]] == [one, three]
    assert await members(first) == []
    listed = {user["id"]: user["account_id"] for user in await admin.ask("GET", "/users")}
    assert listed == {one: second["id"], two: None, three: second["id"]}
    await admin.ask("PUT", f"/accounts/{second['id']}", {"users": []})
    assert await members(second) == []


async def test_users_that_do_not_exist_make_nothing(admin: Admin) -> None:
    one = (await admin.user(1))["id"]

    said = await admin.refused("POST", "/accounts", {"name": "alice", "users": [one, 404]})

    assert said == "User with id 404 does not exist"
    assert await names(admin, "?name=alice") == []
    assert (await admin.ask("GET", "/users"))[0]["account_id"] is None


async def test_two_that_swap_their_users_at_once_both_end(admin: Admin) -> None:
    people = [(await admin.user(code))["id"] for code in range(6)]
    first, second = await admin.account("first", users=people[:3]), await admin.account("second", users=people[3:])

    changes = [(first, people), (second, people[::-1])] * 4
    answers = await asyncio.gather(
        *(admin.client.put(f"/api/accounts/{of['id']}", json={"users": whom}) for of, whom in changes)
    )

    assert {answer.status_code for answer in answers} == {200}
    assert len({user["account_id"] for user in await admin.ask("GET", "/users")}) == 1


async def test_a_deleted_account_is_seen_and_its_key_is_not_served_any_more(running: Running, admin: Admin) -> None:
    made = await admin.account("alice")
    assert await key_status(running, made["api_key"]) == 200

    deleted = await admin.ask("DELETE", f"/accounts/{made['id']}")

    assert deleted["active"] is False
    assert await key_status(running, made["api_key"]) == 401
    assert await admin.ask("DELETE", f"/accounts/{made['id']}") == deleted
    assert await names(admin, "?active=false") == ["alice"]
    assert (await admin.account("alice"))["id"] != made["id"]
    assert await admin.refused("PUT", f"/accounts/{made['id']}", {}) == f"Account with id {made['id']} does not exist"


async def test_accounts_that_never_were_are_told_so(admin: Admin) -> None:
    said = [
        await admin.refused("PUT", "/accounts/404", {"name": "a"}),
        await admin.refused("DELETE", "/accounts/404"),
        await admin.refused("GET", "/accounts/404", status=404),
    ]

    assert said == ["Account with id 404 does not exist"] * 3


@pytest.mark.parametrize("path", ["/accounts/x", "/accounts/0", f"/accounts/{2**63}", "/nothing", ""])
async def test_paths_that_lead_nowhere_answer_in_the_same_style(admin: Admin, path: str) -> None:
    assert await admin.refused("GET", path, status=404)


async def test_other_methods_and_other_media_answer_in_the_same_style(admin: Admin) -> None:
    wrong_method = await admin.client.patch("/api/accounts/1", json={})
    no_json = await admin.client.post("/api/accounts", content=b"{", headers={"content-type": "application/json"})
    no_media = await admin.client.post("/api/accounts", content=b"a", headers={"content-type": "text/plain"})

    answers = [wrong_method, no_json, no_media]
    assert [answer.status_code for answer in answers] == [405, 400, 415]
    assert wrong_method.headers["allow"] == "DELETE, GET, PUT"
    assert [type(answer.json()["error"]) for answer in answers] == [str] * 3


async def test_the_chats_of_an_account_are_counted_and_of_none_there_are_none(running: Running, admin: Admin) -> None:
    account = await admin.account("alice")
    async with httpx.AsyncClient(base_url=running.root) as client:
        for _ in range(2):
            await client.post(
                "/api/chats", json={"name": "a"}, headers={"authorization": f"Bearer {account['api_key']}"}
            )

    counts = [
        await admin.ask("GET", f"/accounts/{number}/num_chats") for number in (account["id"], running.account_id, 404)
    ]

    assert counts == [{"num_chats": 2}, {"num_chats": 0}, {"num_chats": 0}]


async def test_what_an_account_used_is_the_sum_of_its_records_after_many_at_once(
    running: Running, admin: Admin
) -> None:
    async with httpx.AsyncClient(base_url=running.root, headers=running.headers, timeout=60) as client:
        bodies = [HELLO | {"stream": number % 2 == 0} for number in range(50)]
        answers = await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for body in bodies))
    records = await running.records()

    assert {answer.status_code for answer in answers} == {200}
    assert len(records) == 50
    used = (await admin.ask("GET", f"/accounts/{running.account_id}"))["usage"]
    assert used == sum(record.total_tokens for record in records) > 0


async def test_a_record_that_is_written_twice_is_charged_once(running: Running, admin: Admin) -> None:
    async with httpx.AsyncClient(base_url=running.root, headers=running.headers) as client:
        await client.post("/v1/chat/completions", json=HELLO)
    (record,) = await running.records()

    async with running.database.begin() as session:
        again = await usage.add(session, record)

    assert not again
    assert (await admin.ask("GET", f"/accounts/{running.account_id}"))["usage"] == record.total_tokens
    assert len(await running.records()) == 1

"""Keys by the administrator's API."""

import pytest

from llm_backend.domain.keys import public_id_of
from llm_backend.errors import Json
from tests.handlers.administering import Admin, key_status
from tests.serving import Running

FIELDS = {
    "id", "account_id", "name", "api_key", "scopes", "models", "requests_per_minute", "tokens_per_minute",
    "concurrent_requests", "created_at", "expires_at", "last_used_on", "revoked_at", "trusted_frontend",
    "end_user_budget", "end_user_budget_microusd", "end_user_renewal", "end_user_requests_per_minute",
    "end_user_tokens_per_minute", "end_user_concurrent_requests",
}  # fmt: skip


async def test_another_key_is_told_once_and_works_beside_the_first(running: Running, admin: Admin) -> None:
    account = await admin.account("alice")
    path = f"/accounts/{account['id']}/keys"

    made = await admin.ask("POST", path, {"name": "laptop", "expires_at": "2099-01-01 00:00:00"}, 201)

    assert set(made) == FIELDS
    assert (made["name"], made["expires_at"], made["scopes"]) == (
        "laptop",
        "2099-01-01 00:00:00",
        ["inference", "models"],
    )
    assert [await key_status(running, key["api_key"]) for key in (account, made)] == [200, 200]
    listed = await admin.ask("GET", path)
    assert [key["id"] for key in listed] == [public_id_of(account["api_key"]), made["id"]]
    assert listed[1]["api_key"] == f"sk-lb-{made['id']}…{made['api_key'][-4:]}"


async def test_a_key_needs_nothing_said_and_may_have_fewer_scopes(running: Running, admin: Admin) -> None:
    path = f"/accounts/{running.account_id}/keys"
    plain = await admin.client.post(f"/api{path}")
    powerless = await admin.ask("POST", path, {"scopes": []}, 201)
    expired = await admin.ask("POST", path, {"expires_at": "2001-01-01 00:00:00"}, 201)

    statuses = [await key_status(running, key["api_key"]) for key in (plain.json(), powerless, expired)]

    assert (plain.status_code, statuses) == (201, [200, 403, 401])


async def test_a_revoked_key_is_refused_at_once_and_the_account_shows_the_next(running: Running, admin: Admin) -> None:
    account = await admin.account("alice")
    path = f"/accounts/{account['id']}/keys"
    second = await admin.ask("POST", path, {}, 201)
    first_id = public_id_of(account["api_key"])
    assert await key_status(running, account["api_key"]) == 200

    revoked = await admin.ask("DELETE", f"{path}/{first_id}")

    assert revoked["revoked_at"]
    assert await key_status(running, account["api_key"]) == 401
    assert await admin.ask("DELETE", f"{path}/{first_id}") == revoked
    shown = (await admin.ask("GET", f"/accounts/{account['id']}"))["api_key"]
    assert shown.startswith(f"sk-lb-{second['id']}")
    assert shown in {each["api_key"] for each in await admin.ask("GET", "/accounts")}
    await admin.ask("DELETE", f"{path}/{second['id']}")
    assert (await admin.ask("GET", f"/accounts/{account['id']}"))["api_key"] is None


@pytest.mark.parametrize(("body", "old_status"), [({"grace_seconds": 3600}, 200), ({}, 401), (None, 401)])
async def test_a_rotated_key_is_good_for_its_grace(running: Running, admin: Admin, body: Json, old_status: int) -> None:
    account = await admin.account("alice")
    key_id = public_id_of(account["api_key"])
    assert await key_status(running, account["api_key"]) == 200

    new = await admin.ask("POST", f"/accounts/{account['id']}/keys/{key_id}/rotate", body, 201)

    assert new["id"] != key_id
    assert [await key_status(running, key["api_key"]) for key in (account, new)] == [old_status, 200]


async def test_keys_of_another_account_and_keys_that_never_were_are_the_same(running: Running, admin: Admin) -> None:
    account = await admin.account("alice")
    foreign = public_id_of(running.key)
    unknown = "0" * 12
    path = f"/accounts/{account['id']}/keys"

    for key_id in (foreign, unknown):
        said = [
            await admin.refused("DELETE", f"{path}/{key_id}", status=404),
            await admin.refused("POST", f"{path}/{key_id}/rotate", {}, 404),
        ]
        assert said == [f"Key {key_id} does not exist"] * 2
    assert await key_status(running, running.key) == 200


async def test_no_key_is_made_for_an_account_that_is_none_or_closed(admin: Admin) -> None:
    account = await admin.account("alice")
    await admin.ask("DELETE", f"/accounts/{account['id']}")

    for account_id in (account["id"], 404):
        said = await admin.refused("POST", f"/accounts/{account_id}/keys", {}, 404)
        assert said == f"Account with id {account_id} does not exist"
    assert await admin.refused("GET", "/accounts/404/keys", status=404)
    assert len(await admin.ask("GET", f"/accounts/{account['id']}/keys")) == 1


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": "x" * 81}, "'name'"),
        ({"name": "\x00"}, "name"),
        ({"scopes": ["root"]}, "'scopes[0]'"),
        ({"expires_at": "tomorrow"}, "'expires_at'"),
        ({"expires_at": "2026-02-30 00:00:00"}, "'expires_at'"),
        ({"account_id": 7}, "'account_id'"),
    ],
)
async def test_what_is_wrong_is_a_line_that_names_the_field(
    running: Running, admin: Admin, wrong: Json, field: str
) -> None:
    assert field in await admin.refused("POST", f"/accounts/{running.account_id}/keys", wrong)


async def test_a_grace_is_a_day_at_most(running: Running, admin: Admin) -> None:
    path = f"/accounts/{running.account_id}/keys/{public_id_of(running.key)}/rotate"

    assert "'grace_seconds'" in await admin.refused("POST", path, {"grace_seconds": 86_401})


async def test_keys_are_read_by_page(admin: Admin) -> None:
    account, other = await admin.account("alice"), await admin.account("bob")
    path = f"/accounts/{account['id']}/keys"
    for _ in range(3):
        await admin.ask("POST", path, {}, 201)
    every = [key["id"] for key in await admin.ask("GET", path)]

    first = [key["id"] for key in await admin.ask("GET", f"{path}?limit=2")]
    rest = [key["id"] for key in await admin.ask("GET", f"{path}?limit=1000&after={first[-1]}")]

    assert (first, rest) == (every[:2], every[2:])
    assert await admin.ask("GET", f"{path}?after={every[-1]}") == []
    assert await admin.ask("GET", f"{path}?after={public_id_of(other['api_key'])}") == []
    assert "limit" in await admin.refused("GET", f"{path}?limit=0")

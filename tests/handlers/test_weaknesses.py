"""What is known to go wrong in systems that serve these paths, and does not here; the numbers are of its contract."""

from pathlib import Path

import pytest
from sqlalchemy import text

from llm_backend.errors import Json
from tests.handlers.administering import Admin, administering, key_status
from tests.serving import Running, serving


async def test_weakness_1_users_given_with_a_new_account_are_its_users(admin: Admin) -> None:
    user = await admin.user(7)

    made = await admin.account("alice", users=[user["id"]])

    assert [each["code"] for each in made["users"]] == ["7"]


@pytest.mark.parametrize("configured", ["", " "])
async def test_weakness_6_without_an_admin_token_nobody_is_the_administrator(
    database_url: str, tmp_path: Path, configured: str
) -> None:
    async with (
        serving(database_url, tmp_path, ADMIN_TOKEN=configured) as running,
        administering(running) as admin,
    ):
        statuses = {
            (await admin.client.get("/api/accounts", headers={"authorization": value})).status_code
            for value in ("", "Bearer", "Bearer x", "Basic Og==")
        }

    assert statuses == {401}


async def test_weakness_7_a_taken_name_in_a_change_is_told_and_no_fault_of_the_server(admin: Admin) -> None:
    await admin.account("alice")
    bob = await admin.account("bob")

    said = await admin.refused("PUT", f"/accounts/{bob['id']}", {"name": "alice"})

    assert said == "Account with name alice already exists"


async def test_weakness_9_keys_stand_neither_in_the_database_nor_in_any_listing(running: Running, admin: Admin) -> None:
    made = await admin.account("alice", users=[(await admin.user(1))["id"]])
    secret = made["api_key"].rpartition("-")[2]

    shown = [await admin.ask("GET", path) for path in ("/accounts", "/users", f"/accounts/{made['id']}/keys")]
    async with running.database.reading() as session:
        keys = (await session.execute(text("SELECT * FROM api_key"))).all()
        changes = (await session.execute(text("SELECT * FROM audit_record"))).all()

    assert secret not in str(shown)
    assert secret not in str(keys) + str(changes)


@pytest.mark.parametrize("name", ["x" * 81, "x" * 5000])
async def test_weakness_11_a_long_name_is_refused_alike_on_every_database(admin: Admin, name: str) -> None:
    for path, body in (
        ("/accounts", {"name": name}),
        ("/users", {"code": name}),
        ("/users", {"code": 1, "name": name}),
    ):
        assert await admin.refused("POST", path, body)
    assert (await admin.account("é" * 80))["name"] == "é" * 80


@pytest.mark.parametrize("body", [{"name": "a\x00"}, {"name": "a", "course": "\x00"}])
async def test_weakness_12_what_no_database_keeps_is_refused_with_words(admin: Admin, body: Json) -> None:
    assert await admin.refused("POST", "/accounts", body)


async def test_weakness_13_the_name_of_a_closed_account_is_free_and_its_row_stays(
    running: Running, admin: Admin
) -> None:
    first = await admin.account("alice")
    await admin.ask("DELETE", f"/accounts/{first['id']}")

    second = await admin.account("alice")

    assert second["id"] != first["id"]
    assert [each["id"] for each in await admin.ask("GET", "/accounts?active=false")] == [first["id"]]
    assert [await key_status(running, each["api_key"]) for each in (first, second)] == [401, 200]

"""Each administrative change leaves a row that says who changed what, and no value of anything."""

from llm_backend.domain.keys import public_id_of
from llm_backend.storage import audit
from llm_backend.storage.audit import AuditRecord
from tests.handlers.administering import Admin
from tests.serving import Running


async def records(running: Running) -> list[AuditRecord]:
    """What was done by the API."""
    async with running.database.reading() as session:
        return [record for record in await audit.every(session) if record.actor == "admin"]


async def test_every_change_is_audited_with_the_names_of_what_changed(running: Running, admin: Admin) -> None:
    user = await admin.user("s1", name="Sam")
    account = await admin.account("alice", budget=5)
    path, key_id = f"/accounts/{account['id']}", public_id_of(account["api_key"])
    await admin.ask("PUT", path, {"name": "alice", "budget": 6, "users": [user["id"]]})
    new = await admin.ask("POST", f"{path}/keys/{key_id}/rotate", {"grace_seconds": 60}, 201)
    await admin.ask("DELETE", f"{path}/keys/{new['id']}")
    await admin.ask("DELETE", path)

    found = await records(running)

    made = ["expires_at", "name", "scopes"]
    account_id = str(account["id"])
    assert [(each.operation, each.target_kind, each.target_id, each.fields) for each in found] == [
        ("create", "user", str(user["id"]), ["code", "name"]),
        ("create", "account", account_id, ["name", "token_limit"]),
        ("create", "key", key_id, made),
        ("update", "account", account_id, ["token_limit", "users"]),
        ("create", "key", new["id"], made),
        ("rotate", "key", key_id, ["expires_at"]),
        ("revoke", "key", new["id"], ["revoked_at"]),
        ("close", "account", account_id, ["active"]),
    ]
    assert account["api_key"] not in repr(found)


async def test_a_record_bears_the_id_of_its_request(running: Running, admin: Admin) -> None:
    answer = await admin.client.post("/api/users", json={"code": "s1"}, headers={"x-request-id": "req_known"})

    (record,) = await records(running)
    assert (answer.headers["x-request-id"], record.request_id) == ("req_known", "req_known")


async def test_what_changes_nothing_or_fails_leaves_no_record(running: Running, admin: Admin) -> None:
    account = await admin.account("alice")
    key_id = public_id_of(account["api_key"])
    path = f"/accounts/{account['id']}"
    for _ in range(2):
        await admin.ask("DELETE", f"{path}/keys/{key_id}")
        await admin.ask("DELETE", path)
    before = await records(running)

    await admin.refused("POST", "/accounts", {"name": "tests"})
    await admin.refused("PUT", path, {"name": "else"})
    await admin.ask("PUT", f"/accounts/{running.account_id}", {"name": "tests", "users": []})

    assert await records(running) == before
    assert len(before) == 4


async def test_changes_are_listed_newest_first_and_by_what_they_were_done_to(running: Running, admin: Admin) -> None:
    user, account = await admin.user("s1"), await admin.account("alice")
    await admin.ask("PUT", f"/accounts/{account['id']}", {"course": "Physics"})

    newest = await admin.ask("GET", "/audit?limit=2")
    of_users = await admin.ask("GET", "/audit?target_kind=user")
    of_account = await admin.ask("GET", f"/audit?target_kind=account&target_id={account['id']}")

    assert [(each["operation"], each["target_kind"]) for each in newest] == [("update", "account"), ("create", "key")]
    assert [(each["target_id"], each["actor"]) for each in of_users] == [(str(user["id"]), "admin")]
    assert [each["fields"] for each in of_account] == [["course"], ["name"]]
    assert set(newest[0]) == {"at", "actor", "operation", "target_kind", "target_id", "fields", "request_id"}


async def test_a_thousand_changes_are_the_most_that_are_listed(admin: Admin) -> None:
    for wrong in ("limit=1001", "limit=0", "limit=x", "target_id=%00", "target_kind=%00"):
        assert await admin.refused("GET", f"/audit?{wrong}")

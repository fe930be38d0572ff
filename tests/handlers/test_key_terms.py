"""What a key may do, how that is changed, and what becomes of one that was found in the open."""

import httpx

from llm_backend.domain.key_text import checksum, make_key, public_id_of
from llm_backend.errors import Json
from tests.handlers.administering import Admin, key_status
from tests.serving import Running

TERMS: Json = {
    "name": "laptop",
    "scopes": ["models"],
    "models": ["echo", "other"],
    "requests_per_minute": 60,
    "tokens_per_minute": 1000,
    "concurrent_requests": 2,
    "expires_at": "2099-01-01 00:00:00",
}


async def models(running: Running, key: str, path: str = "") -> httpx.Response:
    async with httpx.AsyncClient(base_url=running.root, headers={"authorization": f"Bearer {key}"}) as client:
        return await client.get(f"/v1/models{path}")


async def test_what_a_key_may_do_is_said_when_it_is_made_and_changed_later(running: Running, admin: Admin) -> None:
    path = f"/accounts/{running.account_id}/keys"
    made = await admin.ask("POST", path, TERMS, 201)

    changed = await admin.ask("PUT", f"{path}/{made['id']}", {"models": None, "tokens_per_minute": None, "name": ""})

    assert {name: made[name] for name in TERMS} == TERMS
    assert changed == made | {
        "models": None, "tokens_per_minute": None, "name": "", "api_key": changed["api_key"],
    }  # fmt: skip
    assert made["api_key"] not in str(changed)
    assert await admin.ask("GET", f"{path}/{made['id']}") == changed


async def test_only_the_models_that_a_key_may_name_are_listed_and_others_are_none(
    running: Running, admin: Admin
) -> None:
    path = f"/accounts/{running.account_id}/keys"
    made = await admin.ask("POST", path, {"models": ["echo"]}, 201)
    everything = [each["id"] for each in (await models(running, running.key)).json()["data"]]

    listed = (await models(running, made["api_key"])).json()["data"]
    foreign = await models(running, made["api_key"], "/gpt-4")
    missing = await models(running, running.key, "/no-such-model")

    assert "gpt-4" in everything
    assert [each["id"] for each in listed] == ["echo"]
    assert (await models(running, made["api_key"], "/echo")).status_code == 200
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert foreign.text.replace("gpt-4", "no-such-model") == missing.text


async def test_a_change_of_a_key_holds_at_once(running: Running, admin: Admin) -> None:
    path = f"/accounts/{running.account_id}/keys"
    made = await admin.ask("POST", path, {}, 201)
    assert await key_status(running, made["api_key"]) == 200

    await admin.ask("PUT", f"{path}/{made['id']}", {"scopes": []})

    assert await key_status(running, made["api_key"]) == 403


async def test_keys_that_leaked_are_revoked_and_never_repeated(running: Running, admin: Admin) -> None:
    account = await admin.account("alice")
    path = f"/accounts/{account['id']}/keys"
    revoked = await admin.ask("POST", path, {}, 201)
    await admin.ask("DELETE", f"{path}/{revoked['id']}")
    expired = await admin.ask("POST", path, {"expires_at": "2001-01-01 00:00:00"}, 201)
    key_id = public_id_of(account["api_key"])
    known_id = account["api_key"][:19] + make_key()[19:-6]
    known_id += checksum(known_id)
    texts = [account["api_key"], revoked["api_key"], expired["api_key"], make_key(), known_id, "", "x" * 4096]

    answer = await admin.client.post("/api/keys/report", json={"api_keys": texts})

    unknown = {"id": None, "account_id": None, "status": "unknown"}
    assert answer.json() == [
        {"id": key_id, "account_id": account["id"], "status": "revoked"},
        {"id": revoked["id"], "account_id": account["id"], "status": "already_revoked"},
        {"id": expired["id"], "account_id": account["id"], "status": "revoked"},
        *[unknown] * 4,
    ]
    assert not [text for text in texts if text and text in answer.text]
    assert await key_status(running, account["api_key"]) == 401
    assert await key_status(running, running.key) == 200
    audited = await admin.ask("GET", f"/audit?target_kind=key&target_id={key_id}")
    assert [each["operation"] for each in audited] == ["revoke_leaked", "create"]


async def test_a_report_has_one_to_a_hundred_keys(admin: Admin) -> None:
    for wrong in ([], ["x"] * 101, [7], "x"):
        assert "api_keys" in await admin.refused("POST", "/keys/report", {"api_keys": wrong})

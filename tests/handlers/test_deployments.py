"""What a deployment may decide about accounts and keys."""

from pathlib import Path

from tests.handlers.administering import administering, key_status
from tests.serving import serving


async def test_new_accounts_have_the_deployments_limit_where_none_is_said(database_url: str, tmp_path: Path) -> None:
    async with (
        serving(database_url, tmp_path, toml="[budgets]\ndefault_tokens = 10_000\n") as running,
        administering(running) as admin,
    ):
        made = [await admin.account("silent"), await admin.account("less", budget=5)]
        made.append(await admin.account("endless", budget=None))
        many = await admin.ask("POST", "/account_batches", {"accounts": [{"name": "row"}]}, 201)

    assert [each["budget"] for each in [*made, *many]] == [10_000, 5, None, 10_000]


async def test_keys_that_are_kept_readable_are_listed_in_full_and_each_reading_is_audited(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        serving(database_url, tmp_path, toml="[keys]\nrecoverable = true\n") as running,
        administering(running) as admin,
    ):
        made = await admin.account("alice")
        listed = [each["api_key"] for each in await admin.ask("GET", "/accounts?name=alice")]
        shown = (await admin.ask("GET", f"/accounts/{made['id']}"))["api_key"]
        changed = (await admin.ask("PUT", f"/accounts/{made['id']}", {"course": "Physics"}))["api_key"]
        readings = [each["operation"] for each in await admin.ask("GET", "/audit?target_kind=key")]
        works = await key_status(running, shown)

    assert [*listed, shown] == [made["api_key"]] * 2
    assert changed == f"sk-lb-{made['api_key'][6:18]}…{made['api_key'][-4:]}"
    assert readings[:3] == ["read", "read", "create"]
    assert works == 200

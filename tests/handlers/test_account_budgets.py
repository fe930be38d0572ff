"""Budgets by the administrator's API: of an account, of its keys, of models within it."""

import pytest

from llm_backend.domain.key_text import public_id_of
from llm_backend.errors import Json
from tests.handlers.administering import Admin
from tests.serving import Running

PLAIN: Json = {"budget": None, "budget_microusd": None, "renewal": "never", "carries_over": False, "terms": None}


async def test_an_account_is_made_and_changed_with_all_that_its_budget_may_be(admin: Admin) -> None:
    terms = ["2026-09-01", "2027-02-01", "2027-08-01"]
    made = await admin.account(
        "alice", budget=10, budget_microusd=5, renewal="term", terms=terms, carries_over=True,
        time_zone="Europe/Berlin", fits=True, stores=False, retention_days=30, requests_per_minute=1,
        tokens_per_minute=2, concurrent_requests=3,
    )  # fmt: skip

    changed = await admin.ask(
        "PUT", f"/accounts/{made['id']}", {"renewal": "month", "tokens_per_minute": None, "retention_days": None}
    )

    assert (made["budget"], made["budget_microusd"], made["renewal"], made["terms"]) == (10, 5, "term", terms)
    assert (made["carries_over"], made["time_zone"], made["fits"]) == (True, "Europe/Berlin", True)
    assert (made["stores"], made["retention_days"]) == (False, 30)
    assert [made[f"{what}_per_minute"] for what in ("requests", "tokens")] == [1, 2]
    assert made["concurrent_requests"] == 3
    assert {name for name in made if made[name] != changed[name]} == {
        "api_key", "updated_at", "renewal", "terms", "tokens_per_minute", "retention_days",
    }  # fmt: skip
    assert (changed["renewal"], changed["terms"]) == ("month", None)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"renewal": "year"}, "'renewal'"),
        ({"renewal": "term"}, "Terms"),
        ({"terms": ["2026-01-01", "2026-02-01"]}, "Terms"),
        ({"renewal": "term", "terms": ["2026-02-01", "2026-01-01"]}, "Terms"),
        ({"renewal": "term", "terms": ["2026-02-30", "2026-03-01"]}, "date"),
        ({"time_zone": "Mars/Base"}, "time zone"),
        ({"time_zone": "../etc/passwd"}, "time zone"),
        ({"requests_per_minute": 0}, "'requests_per_minute'"),
        ({"budget_microusd": -1}, "'budget_microusd'"),
        ({"fits": "yes"}, "'fits'"),
        ({"stores": None}, "'stores'"),
        ({"retention_days": -1}, "'retention_days'"),
        ({"retention_days": 36_501}, "'retention_days'"),
    ],
)
async def test_what_no_budget_may_be_is_refused_and_nothing_is_made(admin: Admin, wrong: Json, field: str) -> None:
    assert field in await admin.refused("POST", "/accounts", {"name": "alice", **wrong})
    assert await admin.ask("GET", "/accounts?name=alice") == []


async def test_a_budget_renews_and_shows_the_period_that_it_is_in(admin: Admin) -> None:
    account = await admin.account("alice", budget=10, renewal="day", time_zone="UTC")

    [whole] = await admin.ask("GET", f"/accounts/{account['id']}/budgets")

    assert (whole["subject"], whole["budget"], whole["renewal"]) == ("account", 10, "day")
    period = whole["period"]
    assert period["starts_at"][10:] == period["ends_at"][10:] == " 00:00:00"
    assert [period[name] for name in ("budget", "usage", "usage_microusd", "reserved", "reserved_microusd")] == [
        10, 0, 0, 0, 0,
    ]  # fmt: skip


async def test_keys_and_models_have_budgets_of_their_own_within_the_account(admin: Admin) -> None:
    account = await admin.account("alice")
    path, key_id = f"/accounts/{account['id']}/budgets", public_id_of(account["api_key"])

    made = [
        await admin.ask("PUT", f"{path}/{subject}", {"budget": 5})
        for subject in ("account", f"key:{key_id}", "model:meta/llama 3", "model:meta%2Fllama%203")
    ]
    changed = await admin.ask("PUT", f"{path}/key:{key_id}", {"budget_microusd": 7, "renewal": "week"})

    assert [each["subject"] for each in made] == ["account", f"key:{key_id}", *["model:meta/llama 3"] * 2]
    assert {name: made[1][name] for name in PLAIN} == PLAIN | {"budget": 5}
    assert (changed["budget"], changed["budget_microusd"], changed["renewal"]) == (5, 7, "week")
    listed = await admin.ask("GET", path)
    assert [each["subject"] for each in listed] == ["account", f"key:{key_id}", "model:meta/llama 3"]
    assert await admin.ask("GET", f"{path}/key:{key_id}") == listed[1]
    assert (await admin.ask("GET", f"/accounts/{account['id']}"))["budget"] == 5


async def test_a_budget_is_removed_by_lifting_its_limits(admin: Admin) -> None:
    account = await admin.account("alice", budget=9)
    path = f"/accounts/{account['id']}/budgets"
    await admin.ask("PUT", f"{path}/model:echo", {"budget": 5, "renewal": "day"})

    removed = [await admin.ask("DELETE", f"{path}/{subject}") for subject in ("model:echo", "account")]

    assert [{name: each[name] for name in PLAIN} for each in removed] == [PLAIN, PLAIN]
    assert await admin.refused("GET", f"{path}/model:echo", status=404) == "There is no budget of model:echo"
    assert await admin.refused("DELETE", f"{path}/model:echo", status=404)
    assert (await admin.ask("GET", f"/accounts/{account['id']}"))["budget"] is None
    assert (await admin.ask("PUT", f"{path}/model:echo", {"budget": 6}))["budget"] == 6


async def test_budgets_are_of_what_the_account_has(running: Running, admin: Admin) -> None:
    account = await admin.account("alice")
    path = f"/accounts/{account['id']}/budgets"
    foreign = public_id_of(running.key)

    assert await admin.refused("PUT", f"{path}/key:{foreign}", {"budget": 1}, 404) == f"Key {foreign} does not exist"
    assert await admin.refused("PUT", f"{path}/key:{'0' * 12}", {"budget": 1}, 404)
    assert await admin.refused("PUT", f"{path}/everything", {"budget": 1}, 404)
    assert await admin.refused("PUT", f"{path}/model:echo", {"renewal": "day"})
    assert await admin.refused("PUT", f"{path}/model:echo", {"limit": 1})
    assert await admin.refused("GET", "/accounts/404/budgets", status=404)
    assert await admin.refused("PUT", "/accounts/404/budgets/account", {"budget": 1})
    assert len(await admin.ask("GET", path)) == 1


async def test_each_change_of_a_budget_is_audited_once(admin: Admin) -> None:
    account = await admin.account("alice")
    path = f"/accounts/{account['id']}/budgets/model:echo"
    for body in ({"budget": 5}, {"budget": 5}, {"budget": 6}):
        await admin.ask("PUT", path, body)
    await admin.ask("DELETE", path)

    audited = await admin.ask("GET", f"/audit?target_kind=budget&target_id={account['id']}/model:echo")

    assert [(each["operation"], each["fields"]) for each in audited] == [
        ("remove", ["token_limit"]),
        ("update", ["token_limit"]),
        ("update", ["token_limit"]),
    ]

"""What was used, as the administrator reads it and as each account reads its own."""

import csv
import io
from datetime import date
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from llm_backend.domain import reports
from llm_backend.errors import Json
from llm_backend.storage.tables import budget_period
from tests.handlers.administering import Admin
from tests.serving import Running
from tests.storage.ledgers import keep_days

MARCH = "from=2026-03-01&to=2026-03-31"


@pytest.fixture
async def bob(running: Running, admin: Admin) -> int:
    """Another account than the server's own; both have used something in March."""
    other: int = (await admin.account("bob"))["id"]
    own = {"account_id": running.account_id}
    await keep_days(
        running.database,
        own | {"day": date(2026, 3, 1), "key_id": "key1", "end_user": "=1+1", "images": 3},
        own | {"day": date(2026, 3, 2), "key_id": "key1"},
        own | {"day": date(2026, 3, 2), "model": "Big", "requests": 0, "prompt_tokens": -1, "completion_tokens": 0},
        {"account_id": other, "day": date(2026, 3, 2), "requests": 2},
        {"account_id": other, "day": date(2026, 4, 1)},
    )
    return other


async def rows(admin: Admin, query: str) -> list[tuple[Json, ...]]:
    """The rows of a report without their sums, but for the requests."""
    told = await admin.ask("GET", f"/usage?{query}")
    groups = ("account_id", "key_id", "user", "model", "day")
    return [(*(row[name] for name in groups if name in row), row["requests"]) for row in told["data"]]


async def test_usage_is_summed_by_account_with_names(running: Running, admin: Admin, bob: int) -> None:
    told = await admin.ask("GET", f"/usage?{MARCH}")

    assert [(row["account_id"], row["account_name"], row["requests"]) for row in told["data"]] == [
        (running.account_id, "tests", 2),
        (bob, "bob", 2),
    ]
    sums = {
        "requests": 4,
        "prompt_tokens": 20,
        "completion_tokens": 15,
        "total_tokens": 35,
        "images": 3,
        "cost_microusd": 12,
    }
    assert {name: told["total"][name] for name in sums} == sums
    assert (told["from"], told["to"], told["group_by"]) == ("2026-03-01", "2026-03-31", ["account"])
    assert (told["has_more"], told["next"]) == (False, None)


async def test_rows_are_in_the_order_of_their_groupings(running: Running, admin: Admin, bob: int) -> None:
    own = running.account_id

    assert await rows(admin, f"{MARCH}&group_by=day,account") == [
        (own, "2026-03-01", 1),
        (own, "2026-03-02", 1),
        (bob, "2026-03-02", 2),
    ]
    assert await rows(admin, f"{MARCH}&group_by=model,key") == [
        (None, "Big", 0),
        (None, "echo", 2),
        ("key1", "echo", 2),
    ]
    assert await rows(admin, f"{MARCH}&group_by=user") == [(None, 3), ("=1+1", 1)]


async def test_usage_is_read_of_one_account_key_user_or_model(running: Running, admin: Admin, bob: int) -> None:
    assert await rows(admin, f"{MARCH}&group_by=day&account_id={bob}") == [("2026-03-02", 2)]
    assert await rows(admin, f"{MARCH}&group_by=key&key_id=key1&user=%3D1%2B1") == [("key1", 1)]
    assert await rows(admin, f"{MARCH}&group_by=model&model=Big") == [("Big", 0)]


@pytest.mark.parametrize("groups", ["day,account,key,user,model", "user", "account"])
async def test_pages_together_are_the_whole(admin: Admin, bob: int, groups: str) -> None:
    whole = (await admin.ask("GET", f"/usage?{MARCH}&group_by={groups}"))["data"]
    paged, after = [], ""
    while True:
        page = await admin.ask("GET", f"/usage?{MARCH}&group_by={groups}&limit=1{after}")
        paged += page["data"]
        if not page["has_more"]:
            break
        after = f"&after={page['next']}"

    assert paged == whole
    assert page["total"]["requests"] == 4


@pytest.mark.parametrize(("query", "accept"), [("&format=csv", "*/*"), ("", "text/csv;q=0.9, */*")])
async def test_csv_is_whole_and_harmless(
    admin: Admin, bob: int, query: str, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "CHUNK_ROWS", 1)

    answer = await admin.client.get(f"/api/usage?{MARCH}&group_by=user,model{query}", headers={"accept": accept})

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["user"], row["model"], row["prompt_tokens"]) for row in table] == [
        ("", "Big", "-1"),
        ("", "echo", "14"),
        ("'=1+1", "echo", "7"),
    ]


async def test_csv_of_nothing_is_its_head(admin: Admin) -> None:
    answer = await admin.client.get("/api/usage?from=2001-01-01&to=2001-01-01&format=csv")

    assert answer.text.splitlines() == [",".join(reports.columns(["account"]))]


async def test_an_account_reads_its_own_usage_and_no_other(running: Running, admin: Admin, bob: int) -> None:
    async with httpx.AsyncClient(base_url=running.root, headers=running.headers) as client:
        own = (await client.get(f"/api/usage/own?{MARCH}&account_id={bob}")).json()
        by_account = await client.get("/api/usage/own?group_by=account")
        as_csv = (await client.get(f"/api/usage/own?{MARCH}&group_by=key&format=csv")).text

    assert [(row["day"], row["requests"]) for row in own["data"]] == [("2026-03-01", 1), ("2026-03-02", 1)]
    assert own["total"]["requests"] == 2
    assert by_account.status_code == 400
    assert [line.split(",")[:2] for line in as_csv.splitlines()[1:]] == [["", "0"], ["key1", "2"]]


WRONG = {
    "group_by=moon": "'group_by[0]'",
    "group_by=day,day": "'group_by'",
    "from=2026-02-30": "'from'",
    "from=today": "'from'",
    "from=2026-03-02&to=2026-03-01": "'from'",
    "limit=10001": "'limit'",
    "account_id=bob": "'account_id'",
    "user=%00": "'user'",
    "format=xml": "'format'",
    # What no cursor is, and cursors of other reports: {}, ["a",1], ["a"].
    "after=%25": "'after'",
    "after=e30": "'after'",
    "after=WyJhIiwxXQ": "'after'",
    "after=WyJhIl0": "'after'",
    "group_by=day&after=WyJhIl0": "'after'",
}


async def test_what_is_wrong_with_a_query_is_a_line_that_names_it(admin: Admin) -> None:
    said = {query: await admin.refused("GET", f"/usage?{query}") for query in WRONG}

    assert {query: field for query, field in WRONG.items() if field not in said[query]} == {}


async def explained(running: Running, path: str = "/budget/explain", **headers: str) -> Any:
    async with httpx.AsyncClient(base_url=running.root, headers=running.headers | headers) as client:
        answer = await client.get(f"/api{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_account_is_told_what_its_budget_is_made_of(running: Running, admin: Admin) -> None:
    hello = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}
    async with httpx.AsyncClient(base_url=running.root, headers=running.headers) as client:
        for _ in range(2):
            assert (await client.post("/v1/chat/completions", json=hello)).status_code == 200
    records = await running.records()

    own = await explained(running)

    [whole] = own["budgets"]
    assert [line["attempt_id"] for line in whole["lines"]] == [record.attempt_id for record in records]
    used = sum(record.total_tokens for record in records)
    assert (whole["lines"][-1]["used_tokens"], whole["stored"]["used_tokens"]) == (used, used)
    assert (whole["subject"], whole["agrees"], own["agrees"]) == ("", True, True)
    assert await admin.ask("GET", f"/accounts/{running.account_id}/budget/explain") == own


async def test_what_is_stored_wrong_is_shown_beside_what_is_right(running: Running) -> None:
    async with running.database.begin() as session:
        await session.execute(update(budget_period).values(used_tokens=7))

    told = await explained(running)

    assert (told["agrees"], told["budgets"][0]["stored"]["used_tokens"]) == (False, 7)
    assert told["budgets"][0]["derived"]["used_tokens"] == 0


async def test_the_budget_of_no_account_is_not_explained(admin: Admin) -> None:
    said = await admin.refused("GET", "/accounts/404/budget/explain", status=404)

    assert said == "Account with id 404 does not exist"

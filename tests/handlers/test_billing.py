"""The balance at OpenAI's former paths, as chat interfaces read it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from llm_backend.domain.key_text import public_id_of
from tests.handlers.administering import administering
from tests.serving import Running, serving

PRICED = "[models.echo]\ninput_microusd_per_million = 1_000_000\noutput_microusd_per_million = 1_000_000\n"
"""A micro-dollar a token."""
NOTHING_LIMITED = 100_000_000


@pytest.fixture
async def running(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with serving(database_url, tmp_path, toml=PRICED) as server:
        yield server


async def shown(running: Running, key: str, base: str = "/v1") -> tuple[float, float]:
    """What a chat interface reads: used in cents, allowed in US dollars."""
    dates = {"start_date": "2026-11-01", "end_date": "2026-11-22"}
    async with httpx.AsyncClient(base_url=running.root, headers={"authorization": f"Bearer {key}"}) as client:
        used = await client.get(f"{base}/dashboard/billing/usage", params=dates)
        allowed = await client.get(f"{base}/dashboard/billing/subscription")
    assert (used.status_code, allowed.status_code) == (200, 200)
    return used.json()["total_usage"], allowed.json()["hard_limit_usd"]


async def spend(running: Running, key: str) -> None:
    """Six micro-dollars: three words there and back."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "one two three"}]}
    async with httpx.AsyncClient(base_url=running.base_url, headers={"authorization": f"Bearer {key}"}) as client:
        assert (await client.post("/chat/completions", json=body)).status_code == 200
    await running.quiet()


async def test_what_is_used_and_allowed_is_that_of_the_budget(running: Running) -> None:
    async with administering(running) as admin:
        account = await admin.account("alice", budget_microusd=2_500_000)
    await spend(running, account["api_key"])

    for base in ("/v1", ""):
        assert await shown(running, account["api_key"], base) == (0.0006, 2.5)


async def test_the_budget_with_least_left_is_told(running: Running) -> None:
    async with administering(running) as admin:
        account = await admin.account("alice", budget_microusd=1_000_000)
        await spend(running, account["api_key"])
        key = await admin.ask("POST", f"/accounts/{account['id']}/keys", {}, 201)
        subject = f"key:{public_id_of(key['api_key'])}"
        await admin.ask("PUT", f"/accounts/{account['id']}/budgets/{subject}", {"budget_microusd": 500_000})

    assert await shown(running, key["api_key"]) == (0, 0.5)
    assert await shown(running, account["api_key"]) == (0.0006, 1)


async def test_where_no_money_is_limited_what_was_used_is_told_still(running: Running) -> None:
    async with administering(running) as admin:
        account = await admin.account("alice", budget=1_000)
    await spend(running, account["api_key"])

    assert await shown(running, account["api_key"]) == (0.0006, NOTHING_LIMITED)


async def test_without_a_key_it_is_refused_as_everywhere(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.base_url) as client:
        answer = await client.get("/dashboard/billing/usage")

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")

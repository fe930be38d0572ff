"""End users of a chat interface whose key is trusted to say for whom it asks, over HTTP."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from llm_backend.domain import frontends
from llm_backend.errors import Json
from tests.domain.test_frontends import CLAIMS, SECRET, signed
from tests.handlers.administering import Admin, administering
from tests.serving import Running, serving

THREE_WORDS = "one two three"
"""Six tokens with the echo."""
FAR = 2**33
"""Seconds since 1970, long from now."""


@dataclass(frozen=True)
class Frontend:
    """A chat interface with a key of its account."""

    running: Running
    admin: Admin
    account_id: int
    key: Json

    async def asks(self, *, key: str | None = None, **headers: str) -> httpx.Response:
        """The answer to a chat for whom `headers` name, each without its `X-OpenWebUI-User-`."""
        sent = {f"X-OpenWebUI-User-{name}": value for name, value in headers.items()}
        sent["authorization"] = f"Bearer {key or self.key['api_key']}"
        body = {"model": "echo", "max_tokens": 3, "messages": [{"role": "user", "content": THREE_WORDS}]}
        async with httpx.AsyncClient(base_url=self.running.base_url, headers=sent) as client:
            answer = await client.post("/chat/completions", json=body | {"user": "of the body"})
        await self.running.quiet()
        return answer

    async def changes(self, **terms: Json) -> Json:
        return await self.admin.ask("PUT", f"/accounts/{self.account_id}/keys/{self.key['id']}", terms)

    async def end_users(self, query: str = "") -> list[Json]:
        found: list[Json] = await self.admin.ask("GET", f"/accounts/{self.account_id}/end_users{query}")
        return found

    async def used(self) -> dict[str, int]:
        """Tokens of each end user, by the report."""
        report = await self.admin.ask("GET", f"/usage?account_id={self.account_id}&group_by=user")
        return {row["user"]: row["total_tokens"] for row in report["data"]}


async def opened(running: Running, admin: Admin, **terms: Json) -> Frontend:
    account = await admin.account("school")
    key = await admin.ask("POST", f"/accounts/{account['id']}/keys", {"trusted_frontend": True, **terms}, 201)
    return Frontend(running, admin, account["id"], key)


async def test_each_end_user_has_a_budget_of_its_own_and_is_told_of_it(running: Running, admin: Admin) -> None:
    school = await opened(running, admin, end_user_budget=60, end_user_renewal="month")

    first = await school.asks(Id="alice")
    await school.changes(end_user_budget=10)
    refused = await school.asks(Id="bob")
    second = await school.asks(Id="alice")

    assert (first.status_code, first.headers["x-budget-limit-tokens"]) == (200, "60")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert "left to this user" in refused.json()["error"]["message"]
    assert (second.status_code, second.headers["x-budget-used-tokens"]) == (200, "12")
    assert await school.used() == {"alice": 12}
    assert [(each["subject"], each["period"]["usage"]) for each in await school.end_users()] == [
        ("user:alice", 12),
        ("user:bob", 0),
    ]


async def test_the_administrator_reads_and_changes_the_budget_of_one(running: Running, admin: Admin) -> None:
    school = await opened(running, admin, end_user_budget=10)
    path = f"/accounts/{school.account_id}/budgets/user:a/b%20c@example.org"
    assert (await school.asks(Id="a/b%20c@example.org")).status_code == 429

    changed = await admin.ask("PUT", path, {"budget": 1_000, "renewal": "day"})
    answer = await school.asks(Id="a/b%20c@example.org")

    assert (changed["subject"], changed["budget"], changed["renewal"]) == ("user:a/b c@example.org", 1_000, "day")
    assert answer.headers["x-budget-limit-tokens"] == "1000"
    [explained] = (
        await admin.ask("GET", f"/accounts/{school.account_id}/budget/explain?end_user=a/b%20c@example.org")
    )["budgets"]
    assert (explained["subject"], explained["agrees"], len(explained["lines"])) == ("user:a/b c@example.org", True, 1)
    lifted = await admin.ask("DELETE", path)
    assert lifted["budget"] is None
    assert (await school.asks(Id="a/b%20c@example.org")).headers.get("x-budget-limit-tokens") is None
    assert await school.end_users() == []


async def test_end_users_come_in_pages_and_not_among_the_other_budgets(running: Running, admin: Admin) -> None:
    school = await opened(running, admin, end_user_budget=60)
    for name in ("c", "a", "b"):
        await school.asks(Id=name)

    pages = [await school.end_users(query) for query in ("?limit=2", "?limit=2&after=b", "?after=c")]

    assert [[each["subject"] for each in page] for page in pages] == [["user:a", "user:b"], ["user:c"], []]
    budgets = await admin.ask("GET", f"/accounts/{school.account_id}/budgets")
    assert [each["subject"] for each in budgets] == ["account"]
    explained = await admin.ask("GET", f"/accounts/{school.account_id}/budget/explain")
    assert [each["subject"] for each in explained["budgets"]] == [""]
    assert "budget" in await admin.refused(
        "GET", f"/accounts/{school.account_id}/budget/explain?end_user=nobody", status=404
    )


async def test_each_end_user_has_limits_of_its_own(running: Running, admin: Admin) -> None:
    school = await opened(running, admin, end_user_requests_per_minute=1)

    told = [(await school.asks(Id=name)).status_code for name in ("alice", "alice", "bob")]
    message = (await school.asks(Id="bob")).json()["error"]["message"]

    assert told == [200, 429, 200]
    assert "requests per minute of this user, 1" in message


async def test_of_any_other_key_the_headers_say_nothing(running: Running, admin: Admin) -> None:
    school = await opened(running, admin, end_user_budget=1)
    plain = await admin.ask("POST", f"/accounts/{school.account_id}/keys", {"end_user_budget": 1}, 201)

    answers = [await school.asks(key=plain["api_key"], Id="alice", Jwt="nonsense")]
    await school.changes(trusted_frontend=False)
    answers.append(await school.asks(Id="alice"))

    assert [answer.status_code for answer in answers] == [200, 200]
    assert await school.used() == {"of the body": 12}
    assert await school.end_users() == []


async def test_who_is_not_named_is_the_keys_own(running: Running, admin: Admin) -> None:
    school = await opened(running, admin, end_user_budget=1)

    answer = await school.asks()

    assert answer.status_code == 200
    assert await school.used() == {"of the body": 6}


async def test_an_id_that_is_none_is_refused_by_its_header(running: Running, admin: Admin) -> None:
    school = await opened(running, admin)

    answer = await school.asks(Id="x" * 257)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "X-OpenWebUI-User-Id")


async def test_an_erased_account_names_none_of_its_end_users(running: Running, admin: Admin) -> None:
    school = await opened(running, admin, end_user_budget=60)
    await school.asks(Id="alice")
    await admin.ask("PUT", f"/accounts/{school.account_id}/budgets/user:alice", {"budget": 70})

    erased = await admin.ask("DELETE", f"/accounts/{school.account_id}/data")

    assert (erased["names"], erased["end_users"]) == (1, 1)
    [left] = await school.end_users()
    assert (left["subject"].startswith("user:erased-"), left["period"]["usage"]) == (True, 6)
    assert "alice" not in (await admin.client.get("/api/audit")).text
    assert "alice" not in (await admin.client.get(f"/api/accounts/{school.account_id}/export")).text


async def test_an_erased_user_is_no_end_user_any_more(running: Running, admin: Admin) -> None:
    school = await opened(running, admin, end_user_budget=60)
    user = await admin.user("alice")
    await school.asks(Id="alice")
    await school.asks(Id="alice2")

    assert (await admin.ask("DELETE", f"/users/{user['id']}/data"))["end_users"] == 1

    first, second = sorted(each["subject"] for each in await school.end_users())
    assert (first, second.startswith("user:erased-")) == ("user:alice2", True)


async def test_a_key_keeps_what_its_end_users_may_use_when_it_is_rotated(running: Running, admin: Admin) -> None:
    school = await opened(running, admin, end_user_budget=10, end_user_concurrent_requests=2)

    new = await admin.ask("POST", f"/accounts/{school.account_id}/keys/{school.key['id']}/rotate", {}, 201)

    kept = {name: value for name, value in new.items() if name.startswith(("end_user", "trusted"))}
    assert kept == {
        "trusted_frontend": True,
        "end_user_budget": 10,
        "end_user_budget_microusd": None,
        "end_user_renewal": "never",
        "end_user_requests_per_minute": None,
        "end_user_tokens_per_minute": None,
        "end_user_concurrent_requests": 2,
    }
    assert "'end_user_renewal'" in await admin.refused(
        "PUT", f"/accounts/{school.account_id}/keys/{new['id']}", {"end_user_renewal": "term"}
    )


@pytest.fixture
async def signing(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with serving(database_url, tmp_path, FRONTEND_JWT_SECRET=SECRET) as server:
        yield server


async def test_with_a_secret_only_what_is_signed_names_anyone(signing: Running) -> None:
    async with administering(signing) as admin:
        school = await opened(signing, admin, end_user_budget=60)

        good = await school.asks(Jwt=signed(CLAIMS | {"sub": "alice", "exp": FAR}), Id="bob")
        plain = await school.asks(Id="bob")
        forged = [
            await school.asks(Jwt=token, Id="bob")
            for token in (signed(secret="x" * 32), signed(alg="none"), signed(CLAIMS | {"exp": 1}))
        ]

        assert (good.status_code, plain.status_code) == (200, 200)
        assert {answer.status_code for answer in forged} == {401}
        assert {answer.json()["error"]["code"] for answer in forged} == {"invalid_end_user_token"}
        assert all(frontends.SIGNED in answer.json()["error"]["message"] for answer in forged)
        assert await school.used() == {"alice": 6, "of the body": 6}
        assert [each["subject"] for each in await school.end_users()] == ["user:alice"]


async def test_an_answer_that_is_kept_for_one_is_never_told_to_another(running: Running, admin: Admin) -> None:
    school = await opened(running, admin)
    headers = {"authorization": f"Bearer {school.key['api_key']}", "idempotency-key": "once"}
    body = {"model": "echo", "messages": [{"role": "user", "content": THREE_WORDS}]}

    async with httpx.AsyncClient(base_url=running.base_url, headers=headers) as client:
        told = [
            (await client.post("/chat/completions", json=body, headers={"X-OpenWebUI-User-Id": name})).status_code
            for name in ("alice", "alice", "bob")
        ]

    assert told == [200, 200, 422]

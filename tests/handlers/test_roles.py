"""The administrator and the accounts are two roles: neither token ever opens what is the other's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.types import Receive, Scope, Send

from llm_backend.domain.key_text import make_key
from llm_backend.errors import Json
from tests.handlers.administering import Admin
from tests.serving import Running

STRANGER = "203.0.113.9"


@asynccontextmanager
async def coming_from(running: Running, address: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose requests come from that address, as the server's socket would tell it."""
    app, state = running.server.config.loaded_app, running.server.lifespan.state

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    transport = httpx.ASGITransport(served, client=(address, 40_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_the_keys_of_accounts_open_nothing_of_the_administrators(running: Running) -> None:
    async with httpx.AsyncClient(base_url=running.root, headers=running.headers) as client:
        answer = await client.get("/api/accounts")

    assert (answer.status_code, answer.json()) == (403, {"error": "Access Denied"})


async def test_the_administrators_token_opens_nothing_of_the_accounts(admin: Admin) -> None:
    chats, models = await admin.client.get("/api/chats"), await admin.client.get("/v1/models")

    assert (chats.status_code, chats.json()) == (403, {"error": "Access Denied"})
    assert models.status_code == 401


async def test_who_guesses_at_the_administrators_token_is_refused_for_a_minute(running: Running, admin: Admin) -> None:
    good, path = bearer(running.admin_token), "/api/users"
    async with coming_from(running, STRANGER) as stranger, coming_from(running, "203.0.113.10") as other:
        wrong = [(await stranger.get(path, headers=bearer(f"guess {n}"))).status_code for n in range(11)]
        right = await stranger.get(path, headers=good)

        assert wrong == [401] * 10 + [429]
        assert (right.status_code, type(right.json()["error"])) == (429, str)
        assert 0 < int(right.headers["retry-after"]) <= 60
        assert (await stranger.get("/v1/models", headers=running.headers)).status_code == 200
        assert (await other.get(path, headers=good)).status_code == 200
    assert await admin.ask("GET", "/users") == []


async def test_keys_and_missing_tokens_are_no_guesses(running: Running) -> None:
    keys: list[dict[str, str]] = [running.headers, bearer(make_key()), {}] * 10
    async with coming_from(running, STRANGER) as stranger:
        statuses = [(await stranger.get("/api/users", headers=headers)).status_code for headers in keys]
        right = await stranger.get("/api/users", headers=bearer(running.admin_token))

    assert statuses == [403, 401, 401] * 10
    assert right.status_code == 200


async def test_guesses_where_a_key_is_asked_for_tell_nothing_after_ten(running: Running) -> None:
    good: Json = bearer(running.admin_token)
    async with coming_from(running, STRANGER) as stranger:
        before = (await stranger.get("/api/chats", headers=good)).status_code
        for number in range(10):
            assert (await stranger.get("/api/chats", headers=bearer(f"guess {number}"))).status_code == 401
        after = (await stranger.get("/api/chats", headers=good)).status_code
        elsewhere = (await stranger.get("/api/users", headers=good)).status_code

    assert (before, after, elsewhere) == (403, 401, 200)

"""Who asks, what there is to be asked for, and what an operation's security demands of each."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import select

from llm_backend.contract.operations import Operation
from llm_backend.domain.key_text import make_key, public_id_of
from llm_backend.errors import Json
from llm_backend.storage.tables import metadata
from tests.serving import ADMIN_TOKEN, Running
from tests.whole.good_requests import (
    EXISTING,
    GoodRequest,
    bearer,
    good_request,
    is_for_admin,
    is_for_everyone,
    is_plain,
)

ACCOUNTS = ("owner", "another account", "a key for models only")
"""Who holds a key that is in use."""
GONE = ("a revoked key", "an expired key", "a key of a closed account")
STRANGERS = ("nothing", "an unknown key", "garbage")
IDENTITIES = (*ACCOUNTS, "administrator", *GONE, *STRANGERS)

OWNED = frozenset({"chat_id", "completion_id", "conversation_id", "item_id", "key_id", "response_id", "subject"})
"""Parameters that name what one account has."""
PUBLIC = frozenset({"account_id", "user_id", "target_id", "model", "asset"})
"""Parameters that name what is nobody's, or what only the administrator may name."""

UNTOLD = frozenset({"x-request-id", "date", "openai-processing-ms"})
"""Headers that differ between any two answers."""


@dataclass(frozen=True)
class World:
    """A server with two accounts that have something of every kind, and callers of all kinds."""

    running: Running
    client: httpx.AsyncClient
    tokens: dict[str, str | None]
    """By identity."""
    own: dict[str, str]
    """What the owner has, by the parameters that name it."""
    foreign: dict[str, str]
    """What the other account has."""
    marks: tuple[str, ...]
    """Texts that only answers about the owner hold."""

    async def ask_for(self, operation: Operation, name: str, value: str) -> httpx.Response:
        """The answer to whoever may ask, about its own account, but for `name`, which is `value`."""
        who = "administrator" if is_for_admin(operation) else "owner"
        query = {each: self.own[each] for each in names(operation, "query") & {"account_id"}}
        if name in names(operation, "query"):
            query[name] = value
        named = {**self.own, name: value, f"{name} of {operation.id}": value}
        return await self.ask(who, good_request(operation, named), **query)

    async def ask(self, who: str, request: GoodRequest, **query: str) -> httpx.Response:
        """The answer to `who`."""
        return await self.client.request(
            request.method, request.path, headers=bearer(self.tokens[who]), params=query or None, **request.body
        )

    async def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that the database holds, but for the days on which keys were used."""
        async with self.running.database.reading() as session:
            return {
                table.name: sorted((tuple(row) for row in await session.execute(select(*_kept(table.c)))), key=str)
                for table in metadata.sorted_tables
            }


@asynccontextmanager
async def world_on(running: Running) -> AsyncIterator[World]:
    """Made through the API, as administrators and clients make it."""
    # Fewer than the server has connections to its database: nobody is turned away for being many.
    limits = httpx.Limits(max_connections=8)
    async with httpx.AsyncClient(base_url=running.root, limits=limits, timeout=60) as client:
        maker = _Maker(client)
        owner, own = await maker.account("the owner", "owner-7")
        other, foreign = await maker.account("the other", "other-8")
        closed, its = await maker.account("the closed", "closed-9")
        keys = f"/api/accounts/{own['account_id']}/keys"
        narrow = await maker.made(keys, {"scopes": ["models"]})
        expired = await maker.made(keys, {"expires_at": "2001-01-01 00:00:00"})
        revoked = await maker.made(keys, {})
        await maker.admin("DELETE", f"{keys}/{revoked['id']}")
        await maker.admin("DELETE", f"/api/accounts/{its['account_id']}")
        tokens = {
            "owner": owner,
            "another account": other,
            "a key for models only": narrow["api_key"],
            "administrator": ADMIN_TOKEN,
            "a revoked key": revoked["api_key"],
            "an expired key": expired["api_key"],
            "a key of a closed account": closed,
            "nothing": None,
            "an unknown key": make_key(),
            "garbage": "Bearer é' OR 1=1 --".encode().hex(),
        }
        await running.quiet()
        marks = (own["key_id"], own["conversation_id"], "the owner", "owner-7", "secret of the owner")
        yield World(running, client, tokens, EXISTING | own, EXISTING | foreign, marks)


def demanded(operation: Operation, who: str) -> int:
    """The status that an answer to `who` has, where the path names what is the owner's."""
    done = next(int(status) for status in operation.fields["responses"] if status.startswith("2"))
    if is_for_everyone(operation):
        return done
    if is_for_admin(operation):
        return {"administrator": done, **dict.fromkeys(ACCOUNTS, 403)}.get(who, 401)
    scopes = set(operation.fields["security"][0]["key"])
    names_owned = bool(names(operation, "path") & OWNED)
    return {
        "owner": done,
        "another account": 404 if names_owned else done,
        "a key for models only": done if scopes <= {"models"} else 403,
        "administrator": 403 if is_plain(operation) else 401,
    }.get(who, 401)


def names(operation: Operation, *places: str) -> set[str]:
    """Its parameters in `places`."""
    return {parameter["name"] for parameter in operation.parameters if parameter["in"] in places}


def owned(operation: Operation) -> set[str]:
    """Its parameters that name what one account has."""
    return names(operation, "path", "query") & OWNED


def is_refusal(operation: Operation, answer: httpx.Response) -> bool:
    """Whether it tells in the operation's style that the caller may not, and nothing else."""
    error = answer.json()["error"]
    challenges = answer.headers.get("www-authenticate") == "Bearer"
    if challenges != (answer.status_code == 401):
        return False
    if is_plain(operation):
        return bool(answer.json() == {"error": "Access Denied"})
    return set(error) == {"message", "type", "param", "code"}


def told(answer: httpx.Response, named: str) -> tuple[int, dict[str, str], bytes]:
    """All of an answer that could tell that the id that was `named` exists elsewhere."""
    body = answer.content.replace(named.removeprefix("key:").encode(), b"<id>")
    # Two ids may not be of one length.
    untold = UNTOLD | ({"content-length"} if body != answer.content else set())
    return answer.status_code, {name: value for name, value in answer.headers.items() if name not in untold}, body


async def all_of(answers: Iterable[Any]) -> list[Any]:
    """What came of each, asked at the same time."""
    return await asyncio.gather(*answers)


def says(text: str) -> Json:
    """A message."""
    return {"role": "user", "content": text}


def _kept(columns: Any) -> list[Any]:
    return [column for column in columns if column.name != "last_used_on"]


@dataclass(frozen=True)
class _Maker:
    client: httpx.AsyncClient

    async def account(self, name: str, code: str) -> tuple[str, dict[str, str]]:
        """A key of a new account that has a user, something of each kind that is kept, and a budget of its key."""
        user = await self.made("/api/users", {"code": code})
        made = await self.made("/api/accounts", {"name": name, "users": [user["id"]]})
        key: str = made["api_key"]
        chat = await self.made("/api/chats", {"name": f"chat of {name}"}, key)
        await self.made(f"/api/chats/{chat['id']}/messages", {"content": f"secret of {name}"}, key)
        asked = {"model": "echo", "messages": [says(f"secret of {name}")], "store": True}
        completion = await self.made("/v1/chat/completions", asked, key, status=200)
        talk = await self.made("/v1/conversations", {"items": [says(f"secret of {name}")]}, key, status=200)
        items = f"/v1/conversations/{talk['id']}/items"
        said = await self.made(items, {"items": [says(f"secret of {name}")]}, key, status=200)
        thought = {"model": "echo", "input": f"secret of {name}"}
        second = await self.made("/v1/responses", thought, key, status=200)
        # Only what was made in the background may be cancelled when it has ended.
        first = await self.made("/v1/responses", thought | {"background": True}, key, status=200)
        while not await self._has_ended(f"/v1/responses/{first['id']}", key):  # noqa: ASYNC110 (asked as clients ask)
            await asyncio.sleep(0.01)
        budget = f"/api/accounts/{made['id']}/budgets/key:{public_id_of(key)}"
        await self.admin("PUT", budget, {"budget": 1_000_000})
        return key, {
            "account_id": str(made["id"]),
            "user_id": str(user["id"]),
            "chat_id": str(chat["id"]),
            "completion_id": completion["id"],
            "conversation_id": talk["id"],
            "item_id": said["last_id"],
            "key_id": public_id_of(key),
            "response_id": first["id"],
            "response_id of deleteBetaResponse": second["id"],
            "subject": f"key:{public_id_of(key)}",
        }

    async def made(self, path: str, body: Json, token: str = ADMIN_TOKEN, status: int = 201) -> Json:
        answer = await self.client.post(path, json=body, headers=bearer(token))
        assert answer.status_code == status, answer.text
        return answer.json()

    async def _has_ended(self, path: str, token: str) -> bool:
        answer = await self.client.get(path, headers=bearer(token))
        return answer.json()["status"] not in {"queued", "in_progress"}

    async def admin(self, method: str, path: str, body: Json = None) -> None:
        answer = await self.client.request(method, path, json=body, headers=bearer(ADMIN_TOKEN))
        assert answer.status_code == 200, answer.text

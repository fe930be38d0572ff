"""A client of the administrator's, as its tests use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from llm_backend.errors import Json
from tests.serving import Running


@dataclass(frozen=True, slots=True)
class Admin:
    """Asks with the administrator's token."""

    client: httpx.AsyncClient

    async def ask(self, method: str, path: str, body: Json = None, status: int = 200) -> Json:
        """The answer's JSON; its status has to be `status`."""
        answer = await self.client.request(method, f"/api{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def account(self, name: str, **terms: Json) -> Json:
        return await self.ask("POST", "/accounts", {"name": name, **terms}, 201)

    async def user(self, code: Json, **terms: Json) -> Json:
        return await self.ask("POST", "/users", {"code": code, **terms}, 201)

    async def refused(self, method: str, path: str, body: Json = None, status: int = 400) -> str:
        """The text of the error, which is all that the answer says."""
        told = await self.ask(method, path, body, status)
        assert set(told) == {"error"}
        text: str = told["error"]
        assert "\n" not in text
        return text


@asynccontextmanager
async def administering(running: Running) -> AsyncIterator[Admin]:
    """The administrator of `running`."""
    headers = {"authorization": f"bearer {running.admin_token}"}
    async with httpx.AsyncClient(base_url=running.root, headers=headers) as client:
        yield Admin(client)


async def key_status(running: Running, key: str) -> int:
    """How a request with the key is answered."""
    async with httpx.AsyncClient(base_url=running.root) as client:
        return (await client.get("/v1/models", headers={"authorization": f"Bearer {key}"})).status_code

"""A client of `/api/chats`, as its tests use it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from llm_backend.errors import Json
from tests.serving import Running


@dataclass(frozen=True, slots=True)
class Student:
    """Asks with the key of an account."""

    client: httpx.AsyncClient

    async def get(self, path: str = "", status: int = 200) -> Json:
        answer = await self.client.get(f"/api/chats{path}")
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, path: str, body: Json, status: int = 201) -> Json:
        answer = await self.client.post(f"/api/chats{path}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def chat(self, name: str = "homework", **terms: Json) -> int:
        """A new chat's id."""
        number: int = (await self.post("", {"name": name, **terms}))["id"]
        return number

    async def ask(self, chat: int, content: str, status: int = 201, **rest: Json) -> Json:
        return await self.post(f"/{chat}/messages", {"content": content, **rest}, status)

    async def said(self, chat: int) -> list[tuple[str, str]]:
        """Role and text of each message."""
        return [(each["role"], each["content"]) for each in await self.get(f"/{chat}/messages")]

    async def usage(self) -> int:
        used: int = (await self.get("/budget"))["usage"]
        return used


@asynccontextmanager
async def chatting(running: Running, key: str | None = None) -> AsyncIterator[Student]:
    """Whoever has `key`; without one, the account that every test has."""
    headers = {"authorization": f"Bearer {key or running.key}"}
    async with httpx.AsyncClient(base_url=running.root, headers=headers, timeout=60) as client:
        yield Student(client)

"""A client of `/v1/conversations`, as its tests use it: whatever it is told is as the document says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import orjson

from llm_backend.errors import Json
from llm_backend.resources import resource
from tests.serving import Running

Query = dict[str, Any] | None

PATHS = {
    ("POST", 0): ("/conversations", "post"),
    ("GET", 1): ("/conversations/{conversation_id}", "get"),
    ("POST", 1): ("/conversations/{conversation_id}", "post"),
    ("DELETE", 1): ("/conversations/{conversation_id}", "delete"),
    ("GET", 2): ("/conversations/{conversation_id}/items", "get"),
    ("POST", 2): ("/conversations/{conversation_id}/items", "post"),
    ("GET", 3): ("/conversations/{conversation_id}/items/{item_id}", "get"),
    ("DELETE", 3): ("/conversations/{conversation_id}/items/{item_id}", "delete"),
}
"""Where the document tells what is answered, by the method and the number of parts behind `/v1/conversations`."""


@cache
def document() -> tuple[Json, jsonschema_rs.Registry]:
    found = orjson.loads((resource("spec") / "openai.json").read_bytes())
    return found, jsonschema_rs.Registry([("urn:openai", found)])


@cache
def answers(path: str, method: str) -> Any:
    """What an answer of the operation has to be."""
    found, registry = document()
    schema = found["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    text = orjson.dumps(schema).replace(b'"#/', b'"urn:openai#/')
    return jsonschema_rs.validator_for(orjson.loads(text), registry=registry)


@dataclass(frozen=True, slots=True)
class Talker:
    """Asks with the key of an account."""

    client: httpx.AsyncClient

    async def ask(self, method: str, path: str = "", body: Json = None, status: int = 200, query: Query = None) -> Json:
        """The answer's JSON; its status has to be `status`."""
        answer = await self.client.request(method, f"/conversations{path}", json=body, params=query)
        assert answer.status_code == status, answer.text
        told = answer.json()
        if status == 200:
            answers(*PATHS[method, path.count("/")]).validate(told)
        return told

    async def talk(self, *items: Json, **terms: Json) -> str:
        """A new conversation's id."""
        made: str = (await self.ask("POST", body={"items": list(items), **terms}))["id"]
        return made

    async def add(self, talk: str, *items: Json, **query: Any) -> list[Json]:
        """The items that a conversation has more."""
        told: list[Json] = (await self.ask("POST", f"/{talk}/items", {"items": list(items)}, query=query))["data"]
        return told

    async def items(self, talk: str, **query: Any) -> list[Json]:
        """A page of a conversation's."""
        told: list[Json] = (await self.ask("GET", f"/{talk}/items", query=query))["data"]
        return told

    async def refused(
        self, method: str, path: str = "", body: Json = None, status: int = 400, query: Query = None
    ) -> Json:
        """The error's code and param."""
        error = (await self.ask(method, path, body, status, query))["error"]
        return error["code"], error["param"]


@asynccontextmanager
async def conversing(running: Running, key: str | None = None) -> AsyncIterator[Talker]:
    """Whoever has `key`; without one, the account that every test has."""
    headers = {"authorization": f"Bearer {key or running.key}"}
    async with httpx.AsyncClient(base_url=running.base_url, headers=headers, timeout=60) as client:
        yield Talker(client)


INCLUDE = "include[]"


def says(text: str, role: str = "user") -> Json:
    """A message, as clients commonly give it."""
    return {"role": role, "content": text}


def texts(items: list[Json]) -> list[str]:
    """What each message says."""
    return [part["text"] for item in items for part in item["content"]]

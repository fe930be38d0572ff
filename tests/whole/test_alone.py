"""Who is alone in the process, and what is then committed at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from llm_backend.edge.admission import Edge
from llm_backend.storage.database import Database
from tests.databases import ON_SQLITE
from tests.serving import Running

HELLO = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether what was to be committed at once was, each time."""
    done: list[bool] = []
    write: Callable[..., Any] = Database.write_at_once

    def noting(database: Database, plan: Any) -> Any:
        result = write(database, plan)
        done.append(result is not None)
        return result

    monkeypatch.setattr(Database, "write_at_once", noting)
    return done


@ON_SQLITE
async def test_both_commits_of_who_is_alone_are_made_at_once(running: Running, at_once: list[bool]) -> None:
    async with httpx.AsyncClient(base_url=running.base_url, headers=running.headers) as client:
        await _asked(client, running)
        at_once.clear()
        await _asked(client, running)

    assert at_once == [True, True]


@ON_SQLITE
async def test_nobody_is_held_up_who_is_only_sending_a_request(running: Running, at_once: list[bool]) -> None:
    edge: Edge = running.server.config.loaded_app
    async with httpx.AsyncClient(base_url=running.base_url, headers=running.headers) as client:
        await _asked(client, running)
        _, other = await asyncio.open_connection("127.0.0.1", running.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {running.key}"
        other.write(f"{head}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{".encode())
        while not edge.admission.running:  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(0.001)
        at_once.clear()
        await _asked(client, running)
        other.close()

    assert at_once == []


async def _asked(client: httpx.AsyncClient, running: Running) -> None:
    answer = await client.post("/chat/completions", json=HELLO)
    assert answer.status_code == 200, answer.text
    await running.quiet()
    await running.database.settled()

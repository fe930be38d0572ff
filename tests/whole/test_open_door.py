"""The server without keys: whoever reaches it by its own name is let in, and nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.databases import ON_SQLITE
from tests.serving import ADMIN_TOKEN, Running, serving

pytestmark = ON_SQLITE


@pytest.fixture
async def opened(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A server on loopback that asks for no key."""
    async with serving(database_url, tmp_path, AUTH="open") as running:
        yield running


async def status(running: Running, path: str = "/v1/models", **headers: str) -> int:
    async with httpx.AsyncClient(base_url=running.root) as client:
        return (await client.get(path, headers=headers)).status_code


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
@pytest.mark.parametrize("port", ["", ":8000"])
async def test_every_local_name_is_served(opened: Running, name: str, port: str) -> None:
    assert await status(opened, host=f"{name}{port}") == 200


@pytest.mark.parametrize(
    "name", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"]
)
async def test_a_page_that_gave_its_own_name_this_address_is_refused(opened: Running, name: str) -> None:
    async with httpx.AsyncClient(base_url=opened.root, headers={"host": name}) as client:
        answer = await client.get("/v1/models")

    assert answer.status_code == 403
    assert "Host" in answer.json()["error"]["message"]


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer dummy", "Basic x", "dummy"])
async def test_whatever_a_client_sends_for_a_key_will_do(opened: Running, authorization: str) -> None:
    assert await status(opened, authorization=authorization) == 200


@pytest.mark.parametrize("authorization", ["Bearer", "Basic x", f"Basic {ADMIN_TOKEN}", ADMIN_TOKEN])
async def test_the_administrator_is_still_asked_for_the_token(opened: Running, authorization: str) -> None:
    assert await status(opened, "/metrics", authorization=authorization) == 401


async def test_opened_everywhere_it_answers_to_any_name(database_url: str, tmp_path: Path) -> None:
    async with serving(database_url, tmp_path, AUTH="open", AUTH_OPEN_EVERYWHERE="yes") as running:
        assert await status(running, host="llm.example") == 200


async def test_with_keys_it_answers_to_any_name(running: Running) -> None:
    assert await status(running, host="llm.example", **running.headers) == 200


@pytest.mark.parametrize("authorization", ["Bearer", "Basic x"])
async def test_with_keys_a_header_without_one_is_no_key(running: Running, authorization: str) -> None:
    assert await status(running, authorization=authorization) == 401


async def test_every_answer_is_counted(running: Running) -> None:
    for path in ("/v1/models", "/v1/files", "/v1/nothing"):
        await status(running, path, **running.headers)

    counted = running.services.metrics.text().decode()
    assert 'llm_backend_requests_total{operation="listModels",status="200"} 1.0' in counted
    assert 'llm_backend_requests_total{operation="listFiles",status="200"} 1.0' in counted
    assert 'llm_backend_requests_total{operation="none",status="404"} 1.0' in counted

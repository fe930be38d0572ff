"""What is relayed, and where to, as a deployment sets it."""

from pathlib import Path
from urllib.parse import parse_qsl

import httpx

from tests.databases import ON_SQLITE
from tests.faulty import FaultyUpstream
from tests.handlers.relaying import USED, a_response
from tests.serving import serving


@ON_SQLITE
async def test_one_tenant_may_have_what_nobody_is_known_to_have_made(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    toml = "[relay]\nunowned = true\nunmetered = ['realtime']\n"
    upstream.answers({"id": "file-old", "object": "file"})
    upstream.answers({"object": "list", "data": [{"id": "file-old"}], "has_more": False})
    upstream.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/sdp\r\ncontent-length: 3\r\n\r\n", b"v=0")
    base_url = upstream.base_url
    async with serving(
        database_url, tmp_path, toml=toml, OPENAI_BASE_URL=base_url, OPENAI_API_KEY="sk-upstream"
    ) as running:
        client = httpx.AsyncClient(base_url=running.base_url, headers=running.headers)
        async with client:
            found = await client.get("/files/file-old")
            listed = await client.get("/files?limit=7")
            call = await client.post(
                "/realtime/calls", files={"sdp": (None, "v=0")}, headers={"idempotency-key": "call-1"}
            )

    assert (found.status_code, listed.json()["data"]) == (200, [{"id": "file-old"}])
    assert upstream.requests[1].path == "/v1/files?limit=7"
    assert (call.status_code, call.content, call.headers["content-type"]) == (200, b"v=0", "application/sdp")


@ON_SQLITE
async def test_what_is_relayed_counts_as_a_request(database_url: str, tmp_path: Path, upstream: FaultyUpstream) -> None:
    upstream.answers({"id": "vs_1"})
    toml = "[limits]\nkey_requests_per_minute = 1\n"
    base_url = upstream.base_url
    async with serving(
        database_url, tmp_path, toml=toml, OPENAI_BASE_URL=base_url, OPENAI_API_KEY="sk-upstream"
    ) as running:
        client = httpx.AsyncClient(base_url=running.base_url, headers=running.headers)
        async with client:
            first = await client.post("/vector_stores", json={})
            second = await client.get("/vector_stores/vs_1")

    assert (first.status_code, first.headers["x-ratelimit-remaining-requests"]) == (200, "0")
    assert (second.status_code, second.json()["error"]["code"]) == (429, "rate_limit_exceeded")


@ON_SQLITE
async def test_what_is_made_at_one_upstream_stays_there(database_url: str, tmp_path: Path) -> None:
    async with FaultyUpstream() as first, FaultyUpstream() as second:
        toml = (
            f'[upstreams.first]\nurl = "{first.base_url}"\nkey = "sk-1"\nresponses = "native"\n'
            f'[upstreams.second]\nurl = "{second.base_url}"\nkey = "sk-2"\n'
            '[models.m]\nupstream = "first"\n[relay]\nupstream = "second"\n'
        )
        first.answers(a_response(usage=USED))
        second.answers({"id": "vs_1", "object": "vector_store"})
        async with serving(database_url, tmp_path, toml=toml) as running:
            client = httpx.AsyncClient(base_url=running.base_url, headers=running.headers)
            async with client:
                made = await client.post("/vector_stores", json={})
                answered = await client.post("/responses", json={"model": "m", "input": "Hello"})
                tool = {"type": "file_search", "vector_store_ids": ["vs_1"]}
                apart = await client.post("/responses", json={"model": "m", "input": "Hello", "tools": [tool]})
                await client.get("/vector_stores/vs_1")

    assert (made.status_code, answered.status_code) == (200, 200)
    assert (apart.status_code, apart.json()["error"]["param"]) == (400, "model")
    assert [request.path for request in first.requests] == ["/v1/responses"]
    assert [request.path for request in second.requests] == ["/v1/vector_stores", "/v1/vector_stores/vs_1"]


@ON_SQLITE
async def test_what_a_list_is_filtered_by_reaches_the_upstream(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    toml = "[relay]\nunowned = true\nunmetered = ['fine_tuning']\n"
    upstream.answers({"object": "list", "data": [], "has_more": False})
    base_url = upstream.base_url
    async with serving(database_url, tmp_path, toml=toml, OPENAI_BASE_URL=base_url, OPENAI_API_KEY="sk-1") as running:
        client = httpx.AsyncClient(base_url=running.base_url, headers=running.headers)
        async with client:
            listed = await client.get("/fine_tuning/jobs?limit=7&metadata[a]=b")

    [request] = upstream.requests
    assert listed.json()["data"] == []
    assert dict(parse_qsl(request.path.partition("?")[2])) == {"limit": "7", "metadata[a]": "b"}

"""What an upstream keeps, as clients ask for it: made, found, listed, used, deleted, and each account its own."""

import asyncio

import httpx
import orjson
import pytest

from llm_backend.errors import Json
from tests.databases import ON_SQLITE
from tests.faulty import FaultyUpstream, completion
from tests.handlers.relaying import JSON, client, made_file, other
from tests.serving import Running

__all__ = ["client", "other"]


async def test_what_one_made_is_ones_own_until_it_is_deleted(
    client: httpx.AsyncClient, other: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    await made_file(client, upstream, "file-1")
    upstream.forget()
    upstream.answers({"id": "file-1", "object": "file"})
    upstream.answers({"id": "file-1", "deleted": True})

    found = await client.get("/files/file-1")
    foreign = await other.get("/files/file-1")
    unknown = await other.get("/files/file-2")
    deleted = await client.delete("/files/file-1")
    gone = await client.get("/files/file-1")

    assert (found.status_code, foreign.status_code, deleted.status_code, gone.status_code) == (200, 404, 200, 404)
    assert foreign.content == unknown.content == gone.content
    assert [request.method for request in upstream.requests] == ["GET", "DELETE"]


@ON_SQLITE
async def test_what_the_upstream_no_longer_has_is_forgotten_when_it_is_deleted(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    await made_file(client, upstream, "file-1")
    upstream.forget()
    upstream.answers({"error": {"message": "No such file"}}, status=404)

    told = await client.delete("/files/file-1")
    again = await client.delete("/files/file-1")

    assert (told.status_code, again.status_code, len(upstream.requests)) == (404, 404, 1)


@ON_SQLITE
async def test_an_id_that_is_anothers_is_never_given_to_a_second(
    client: httpx.AsyncClient, other: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    await made_file(client, upstream, "file-1")

    second = await other.post("/files", files={"file": ("a.txt", b"text")}, data={"purpose": "assistants"})

    assert (second.status_code, second.json()["error"]["code"]) == (502, "upstream_invalid_response")
    assert (await other.get("/files/file-1")).status_code == 404


@ON_SQLITE
async def test_who_has_nothing_is_shown_nothing_without_asking(
    other: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    listed = await other.get("/files")

    assert listed.json() == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert upstream.requests == []


@ON_SQLITE
async def test_a_file_comes_as_it_is_and_runs_nowhere(client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    await made_file(client, upstream, "file-1")
    upstream.forget()
    page = b"<script>alert(1)</script>" * 10_000
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nset-cookie: a=b\r\ncontent-disposition: inline\r\n"
    upstream.raw(head + b"content-length: %d\r\n\r\n" % len(page), page)

    answer = await client.get("/files/file-1/content")

    assert (answer.status_code, answer.content) == (200, page)
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers


@ON_SQLITE
async def test_a_file_that_breaks_off_is_not_taken_for_whole(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    await made_file(client, upstream, "file-1")
    upstream.forget()
    upstream.raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\n", b"half")

    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/files/file-1/content")


@ON_SQLITE
@pytest.mark.parametrize(("method", "tries"), [("get", 3), ("post", 1)])
async def test_only_what_changes_nothing_is_tried_again(
    client: httpx.AsyncClient, upstream: FaultyUpstream, method: str, tries: int
) -> None:
    await made_file(client, upstream, "file-1")
    upstream.forget()
    upstream.answers({"error": {"message": "sk-upstream-canary-0123456789abcdef"}}, status=500)

    path = "/files/file-1" if method == "get" else "/vector_stores"
    answer = await client.request(method, path, json={} if method == "post" else None)

    assert (answer.status_code, len(upstream.requests)) == (502, tries)
    assert "canary" not in answer.text


@ON_SQLITE
async def test_a_request_is_made_once_for_its_idempotency_key(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    upstream.answers({"id": "vs_1", "object": "vector_store"})
    headers = {"idempotency-key": "key-1"}

    first = await client.post("/vector_stores", json={"name": "a"}, headers=headers)
    again = await client.post("/vector_stores", json={"name": "a"}, headers=headers)

    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert len(upstream.requests) == 1


@ON_SQLITE
@pytest.mark.parametrize(
    ("path", "told", "said"),
    [
        ("/vector_stores", {"object": "vector_store"}, "has no id"),
        ("/vector_stores", {"id": "../files"}, "has no id"),
        ("/files", {"object": "list"}, "has no data"),
        ("/files", [], "has no data"),
    ],
)
async def test_an_answer_that_is_none_is_the_upstreams_fault(
    client: httpx.AsyncClient, upstream: FaultyUpstream, path: str, told: Json, said: str
) -> None:
    await made_file(client, upstream, "file-1")
    upstream.forget()
    upstream.answers(told)

    answer = await (client.get(path) if path == "/files" else client.post(path, json={}))

    assert answer.status_code == 502
    assert said in answer.json()["error"]["message"]


async def test_what_was_made_for_a_client_that_left_is_its_own(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    head, body, left = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n", b'{"id": "vs_1"}', asyncio.Event()
    upstream.raw(head + b"content-length: %d\r\n\r\n" % len(body), left, body)

    asking = asyncio.create_task(client.post("/vector_stores", json={}))
    await upstream.received()
    asking.cancel()
    await asyncio.wait((asking,))
    left.set()

    async with asyncio.timeout(10):
        while not await _is_known(relaying, "vs_1"):
            assert upstream.requests


async def _is_known(relaying: Running, store_id: str) -> bool:
    ownership = relaying.services.relaying.ownership
    return bool(await ownership.own(relaying.account_id, "openai", "vector_stores", [store_id]))


@ON_SQLITE
async def test_a_list_is_looked_through_for_ten_pages_and_no_more(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    await made_file(client, upstream, "file-1")
    upstream.forget()
    for number in range(12):
        upstream.answers({"data": [{"id": f"foreign-{number}"}], "has_more": True})

    listed = await client.get("/files?order=asc&purpose=assistants")

    assert listed.json() == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": True}
    asked = [request.path.partition("?")[2] for request in upstream.requests]
    assert asked[0] == "limit=100&order=asc&purpose=assistants"
    assert asked[1] == "after=foreign-0&limit=100&order=asc&purpose=assistants"
    assert len(asked) == 10


@ON_SQLITE
async def test_a_client_that_leaves_a_file_is_not_read_for(client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    await made_file(client, upstream, "file-1")
    upstream.forget()
    left = asyncio.Event()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1000000\r\n\r\n"
    upstream.raw(head, b"x" * 1000, left, b"x" * 1000, asyncio.Event())

    async with client.stream("GET", "/files/file-1/content") as answer:
        assert await anext(answer.aiter_bytes()) == b"x" * 1000
    left.set()

    async with asyncio.timeout(10):
        await upstream.requests[0].gone.wait()


@ON_SQLITE
async def test_a_chat_may_name_ones_own_files_only(
    client: httpx.AsyncClient, other: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    await made_file(client, upstream, "file-1")
    upstream.forget()
    upstream.answers(completion("Hello"))
    content = [{"type": "text", "text": "Read."}, {"type": "file", "file": {"file_id": "file-1"}}]
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}

    own = await client.post("/chat/completions", json=body)
    foreign = await other.post("/chat/completions", json=body)
    spelt = await other.post("/chat/completions", content=spelt_out(body), headers=JSON)

    assert own.status_code == 200
    assert {answer.status_code for answer in (foreign, spelt)} == {404}
    assert {answer.json()["error"]["param"] for answer in (foreign, spelt)} == {"messages[0].content[1].file.file_id"}
    assert len(upstream.requests) == 1


def spelt_out(body: Json) -> bytes:
    """With a name written in such a way that it does not stand there."""
    return orjson.dumps(body).replace(b"file_id", rb"file\u005fid")

"""What an upstream keeps, as clients ask for it: made, found, listed, used, deleted, and each account its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import orjson
import pytest
import pytest_asyncio

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.keys import Keys
from llm_backend.domain.ownership import Ownership
from llm_backend.domain.secrets import unlock
from llm_backend.errors import DatabaseUnavailable, Json
from tests.databases import ON_SQLITE
from tests.faulty import Cut, FaultyUpstream, chunk, completion, event
from tests.serving import SECRET_KEY, Running, serving

JSON = {"content-type": "application/json"}
USED = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}


@pytest_asyncio.fixture
async def client(relaying: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=relaying.base_url, headers=relaying.headers) as client:
        yield client


@pytest_asyncio.fixture
async def other(relaying: Running) -> AsyncIterator[httpx.AsyncClient]:
    """Another account's."""
    clock = SystemClock()
    keys = Keys(relaying.database, await unlock(relaying.database, SECRET_KEY, clock), clock)
    _, key = await Accounts(relaying.database, clock).create_with_key("another", keys)
    async with httpx.AsyncClient(base_url=relaying.base_url, headers={"authorization": f"Bearer {key.text}"}) as client:
        yield client


def a_response(response_id: str = "resp_1", status: str = "completed", **more: Json) -> Json:
    output = [{"type": "message", "id": f"msg_{response_id}", "content": [{"type": "output_text", "text": "Hello"}]}]
    return {
        "id": response_id,
        "object": "response",
        "status": status,
        "model": "m",
        "output": output,
        "error": None,
    } | more


def typed(kind: str, **said: Json) -> bytes:
    return event({"type": kind, **said}).replace(b"data:", f"event: {kind}\ndata:".encode(), 1)


async def made_file(client: httpx.AsyncClient, upstream: FaultyUpstream, file_id: str) -> None:
    upstream.forget()
    upstream.answers({"id": file_id, "object": "file"})
    made = await client.post("/files", files={"file": ("a.txt", b"text")}, data={"purpose": "assistants"})
    assert made.status_code == 200, made.text


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


@ON_SQLITE
@pytest.mark.parametrize("stream", [False, True])
async def test_a_stored_chat_is_ones_own(
    client: httpx.AsyncClient, other: httpx.AsyncClient, upstream: FaultyUpstream, *, stream: bool
) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": stream}
    upstream.streams(chunk("Hello")) if stream else upstream.answers(completion("Hello"))
    kept = await client.post("/chat/completions", json=body | {"store": True})
    chat_id = completion("Hello")["id"] if not stream else chunk("Hello")["id"]
    upstream.forget()
    upstream.answers({"id": chat_id})

    own = await client.get(f"/chat/completions/{chat_id}")
    foreign = await other.get(f"/chat/completions/{chat_id}")

    assert (kept.status_code, own.status_code, foreign.status_code) == (200, 200, 404)


async def test_a_response_is_charged_and_ones_own(
    client: httpx.AsyncClient, other: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.answers(a_response(usage=USED))
    upstream.answers(a_response("resp_2", usage=USED))

    first = await client.post("/responses", json={"model": "m", "input": "Hello"})
    following = {
        "model": "m",
        "input": [{"type": "item_reference", "id": "msg_resp_1"}],
        "previous_response_id": "resp_1",
    }
    second = await client.post("/responses", json=following)
    foreign = await other.post("/responses", json=following)
    item = await other.post("/responses", json={"model": "m", "input": following["input"]})

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == a_response(usage=USED)
    assert (foreign.status_code, foreign.json()["error"]["param"]) == (404, "input[0].id")
    assert (item.status_code, item.json()["error"]["param"]) == (404, "input[0].id")
    assert upstream.requests[1].json == following
    records = await relaying.records()
    assert [(each.operation, each.prompt_tokens, each.completion_tokens, each.basis) for each in records] == [
        ("createResponse", 7, 5, "reported"),
        ("createResponse", 7, 5, "reported"),
    ]


@ON_SQLITE
@pytest.mark.parametrize("ending", ["completed", "incomplete", "failed"])
async def test_a_streamed_response_is_charged_and_known_before_its_client_sees_it(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running, ending: str
) -> None:
    whole = a_response(status=ending, usage=USED)
    upstream.streams(
        typed("response.created", response=whole | {"status": "in_progress", "output": [], "usage": None}),
        typed("response.output_text.delta", delta="Hello", item_id="msg_resp_1"),
        typed(f"response.{ending}", response=whole),
    )
    upstream.answers(whole)
    known = []

    async with client.stream("POST", "/responses", json={"model": "m", "input": "Hi", "stream": True}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("event: response.created"):
                known.append(await relaying.services.relaying.ownership.own(1, "openai", "responses", ["resp_1"]))
            if line.startswith("event:"):
                last = line

    assert known == [{"resp_1"}]
    assert last == f"event: response.{ending}"
    [record] = await relaying.records()
    assert (record.prompt_tokens, record.completion_tokens, record.basis) == (7, 5, "reported")
    assert (await client.get("/responses/resp_1")).status_code == 200


@ON_SQLITE
async def test_a_response_that_breaks_off_is_an_error_and_charged(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.streams(
        typed("response.created", response=a_response(status="in_progress")),
        typed("response.output_text.delta", delta="Hello"),
        Cut,
    )

    answer = await client.post("/responses", json={"model": "m", "input": "Hello", "stream": True})

    assert '"error"' in answer.text.rstrip().splitlines()[-1]
    [record] = await relaying.records()
    assert (record.status, record.basis) == ("incomplete", "estimated")
    assert record.completion_tokens >= 1


@ON_SQLITE
@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/responses", {"model": "m", "input": "Hello", "background": True}, "background"),
        ("/responses", {"input": "Hello"}, "model"),
    ],
)
async def test_what_cannot_be_metered_is_refused_by_name(
    client: httpx.AsyncClient, upstream: FaultyUpstream, path: str, body: Json, param: str
) -> None:
    answer = await client.post(path, json=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert upstream.requests == []


@ON_SQLITE
async def test_counting_costs_nothing(client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running) -> None:
    upstream.answers({"object": "response.input_tokens", "input_tokens": 11})

    answer = await client.post("/responses/input_tokens", json={"model": "m", "input": "Hello"})

    assert (answer.status_code, answer.json()["input_tokens"]) == (200, 11)
    assert await relaying.records() == []


@ON_SQLITE
async def test_a_beta_is_asked_for_as_such(client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    upstream.answers(a_response(usage=USED))

    await client.post(
        "/responses?beta=true&other=1", json={"model": "m", "input": "Hello"}, headers={"openai-beta": "x"}
    )
    await client.get("/responses/resp_1?beta=true")

    assert [request.path for request in upstream.requests] == [
        "/v1/responses?beta=true",
        "/v1/responses/resp_1?beta=true",
    ]
    assert upstream.requests[0].headers["openai-beta"] == "x"


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
async def test_what_is_made_at_one_upstream_stays_there(database_url: str, tmp_path: Path) -> None:
    async with FaultyUpstream() as first, FaultyUpstream() as second:
        toml = (
            f'[upstreams.first]\nurl = "{first.base_url}"\nkey = "sk-1"\n'
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
                await client.get("/responses/resp_1")

    assert (made.status_code, answered.status_code) == (200, 200)
    assert (apart.status_code, apart.json()["error"]["param"]) == (400, "model")
    assert [request.path for request in first.requests] == ["/v1/responses", "/v1/responses/resp_1"]
    assert [request.path for request in second.requests] == ["/v1/vector_stores", "/v1/vector_stores/vs_1"]


@ON_SQLITE
async def test_stored_chats_are_listed_by_the_name_that_a_model_has_here(
    database_url: str, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    toml = '[models.ours]\nupstream_model = "theirs"\n'
    upstream.answers(completion("Hello"))
    base_url = upstream.base_url
    async with serving(database_url, tmp_path, toml=toml, OPENAI_BASE_URL=base_url, OPENAI_API_KEY="sk-1") as running:
        client = httpx.AsyncClient(base_url=running.base_url, headers=running.headers)
        async with client:
            messages = [{"role": "user", "content": "Hello"}]
            await client.post("/chat/completions", json={"model": "ours", "messages": messages, "store": True})
            upstream.forget()
            upstream.answers({"data": [{"id": completion("Hello")["id"]}], "has_more": False})
            listed = await client.get("/chat/completions?model=ours&metadata[a]=b")
            unknown = await client.get("/chat/completions?model=theirs")

    assert [each["id"] for each in listed.json()["data"]] == [completion("Hello")["id"]]
    [request] = upstream.requests
    assert dict(parse_qsl(request.path.partition("?")[2])) == {"limit": "100", "model": "theirs", "metadata[a]": "b"}
    assert unknown.status_code == 404


@ON_SQLITE
@pytest.mark.parametrize("stream", [False, True])
async def test_nobody_is_told_of_what_could_not_be_recorded(
    client: httpx.AsyncClient, upstream: FaultyUpstream, monkeypatch: pytest.MonkeyPatch, *, stream: bool
) -> None:
    async def away(*_: object) -> None:
        raise DatabaseUnavailable

    monkeypatch.setattr(Ownership, "_record", away)
    if stream:
        upstream.streams(
            typed("response.created", response=a_response()), typed("response.completed", response=a_response())
        )
    else:
        upstream.answers(a_response(usage=USED))

    answer = await client.post("/responses", json={"model": "m", "input": "Hello", "stream": stream})

    assert answer.status_code == 503
    assert "resp_1" not in answer.text

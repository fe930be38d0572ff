"""Responses and stored chats: charged where they are made, and each account's own."""

import httpx
import orjson
import pytest

from llm_backend.domain.ownership import Ownership
from llm_backend.errors import DatabaseUnavailable, Json
from tests.databases import ON_SQLITE
from tests.faulty import Cut, FaultyUpstream, chunk, completion
from tests.handlers.relaying import JSON, USED, a_response, client, made_file, other, typed
from tests.serving import Running
from tests.whole.good_requests import bearer

__all__ = ["client", "other"]


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
    untyped = await other.post("/responses", json={"model": "m", "input": [{"id": "msg_resp_1"}]})

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == a_response(usage=USED)
    assert (foreign.status_code, foreign.json()["error"]["param"]) == (404, "input[0].id")
    assert (item.status_code, item.json()["error"]["param"]) == (404, "input[0].id")
    assert (untyped.status_code, untyped.json()["error"]["param"]) == (404, "input[0].id")
    assert upstream.requests[1].json == following
    records = await relaying.records()
    assert [(each.operation, each.prompt_tokens, each.completion_tokens, each.basis) for each in records] == [
        ("createResponse", 7, 5, "reported"),
        ("createResponse", 7, 5, "reported"),
    ]


@ON_SQLITE
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_with_an_id_that_another_has_is_passed_on_and_stays_anothers(
    client: httpx.AsyncClient, other: httpx.AsyncClient, upstream: FaultyUpstream, *, stream: bool
) -> None:
    upstream.answers(a_response(usage=USED))
    whole = a_response(usage=USED) | {"output": [{"type": "message", "id": "msg_other"}]}
    upstream.streams(typed("response.completed", response=whole)) if stream else upstream.answers(whole)
    upstream.answers(a_response(usage=USED))
    upstream.answers(a_response("resp_2", usage=USED))

    await client.post("/responses", json={"model": "m", "input": "Mine"})
    answer = await other.post("/responses", json={"model": "m", "input": "Mine too", "stream": stream})
    kept = await client.get("/responses/resp_1")
    foreign = await other.get("/responses/resp_1")
    following = {"model": "m", "input": [{"type": "item_reference", "id": "msg_other"}]}
    own = await other.post("/responses", json=following)

    assert (answer.status_code, kept.status_code, foreign.status_code, own.status_code) == (200, 200, 404, 200)
    assert "another one has" not in answer.text


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
@pytest.mark.parametrize("stream", [False, True])
async def test_nobody_is_told_of_what_could_not_be_recorded(
    client: httpx.AsyncClient, upstream: FaultyUpstream, monkeypatch: pytest.MonkeyPatch, *, stream: bool
) -> None:
    async def away(*_: object, **_how: object) -> None:
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


async def test_an_answer_is_made_to_fit_what_is_left_where_it_can_be(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.answers(a_response(usage=USED))
    async with httpx.AsyncClient(base_url=relaying.root, headers=bearer(relaying.admin_token)) as admin:
        set_to = await admin.put(f"/api/accounts/{relaying.account_id}/budgets/account", json={"budget": 5_000})
    assert set_to.status_code == 200

    await client.post("/responses", json={"model": "m", "input": "Hello"})
    refused = await client.post("/responses", json={"model": "m", "input": "Hello", "previous_response_id": "resp_1"})
    compacted = await client.post("/responses/compact", json={"model": "m", "input": "Hello"})

    assert 0 < upstream.requests[0].json["max_output_tokens"] < 5_000
    # What went before may be as long as the model's context, which nobody has said.
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert compacted.status_code == 429
    assert len(upstream.requests) == 1


@ON_SQLITE
async def test_what_is_compacted_is_charged(
    client: httpx.AsyncClient, upstream: FaultyUpstream, relaying: Running
) -> None:
    upstream.answers(a_response(usage=USED))

    compacted = await client.post("/responses/compact", json={"model": "m", "input": "Hello"})

    assert compacted.status_code == 200
    assert upstream.requests[0].json == {"model": "m", "input": "Hello"}
    [record] = await relaying.records()
    assert (record.operation, record.prompt_tokens, record.completion_tokens) == ("compactResponse", 7, 5)

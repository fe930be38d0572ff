"""Responses are charged once, by what their upstream says they used, and are made to fit what is left."""

import pytest

from llm_backend.errors import Json
from llm_backend.storage.invariants import violations
from tests.databases import ON_SQLITE
from tests.handlers.responding import PATHS, Asked, events_of

STREAMS = pytest.mark.parametrize("stream", [False, True])


@STREAMS
async def test_a_response_is_charged_once_by_what_the_upstream_told(asked: Asked, *, stream: bool) -> None:
    asked.will_say(stream=stream)

    answer = await asked.client.post("/responses", json={"model": "m", "input": "Hello", "stream": stream})

    told = events_of(answer)[-1]["response"] if stream else answer.json()
    assert (told["status"], told["output"][0]["content"][0]["text"]) == ("completed", "Hello")
    assert {name: told["usage"][name] for name in ("input_tokens", "output_tokens")} == {
        "input_tokens": 7,
        "output_tokens": 5,
    }
    [record] = await asked.running.records()
    charged = record.operation, record.status, record.basis, record.prompt_tokens, record.completion_tokens
    assert charged == ("createResponse", "completed", "reported", 7, 5)
    assert [request.path for request in asked.upstream.requests] == [PATHS[asked.kind]]
    async with asked.running.database.reading() as session:
        assert list(await violations(session)) == []


async def test_what_is_read_again_costs_nothing(asked: Asked) -> None:
    made = await asked.made()

    again = await asked.client.get(f"/responses/{made['id']}")
    items = await asked.client.get(f"/responses/{made['id']}/input_items")

    assert again.json() == made
    assert [each["content"][0]["text"] for each in items.json()["data"]] == ["Hi"]
    assert len(await asked.running.records()) == 1
    assert asked.upstream.requests == []


@ON_SQLITE
async def test_a_response_is_asked_of_an_upstream_that_keeps_nothing(asked: Asked) -> None:
    first = await asked.made({"input": "One"})
    asked.will_say()

    following = {"model": "m", "input": "Two", "previous_response_id": first["id"], "metadata": {"topic": "trees"}}
    answer = await asked.client.post("/responses", json=following)

    assert answer.json()["previous_response_id"] == first["id"]
    [request] = asked.upstream.requests
    assert not request.json.keys() & {"previous_response_id", "conversation", "metadata", "background"}
    said = request.json["input" if asked.kind == "native" else "messages"]
    assert [each["role"] for each in said] == ["user", "assistant", "user"]
    assert request.json.get("store", False) is False


@ON_SQLITE
async def test_a_response_that_breaks_off_has_failed_and_is_charged(asked: Asked) -> None:
    asked.will_break_off()

    answer = await asked.client.post("/responses", json={"model": "m", "input": "Hello", "stream": True})

    last = events_of(answer)[-1]
    assert (last["type"], last["response"]["error"]["code"]) == ("response.failed", "server_error")
    [record] = await asked.running.records()
    assert (record.status, record.basis) == ("incomplete", "estimated")
    assert record.completion_tokens >= 1
    kept = (await asked.client.get(f"/responses/{last['response']['id']}")).json()
    assert (kept["status"], kept["output"][0]["status"]) == ("failed", "incomplete")


@STREAMS
async def test_an_answer_is_made_to_fit_what_is_left(asked: Asked, *, stream: bool) -> None:
    await asked.budget(5_000)
    asked.will_say(stream=stream)

    answer = await asked.client.post("/responses", json={"model": "m", "input": "Hello", "stream": stream})

    assert answer.status_code == 200, answer.text
    [request] = asked.upstream.requests
    cap = request.json["max_output_tokens" if asked.kind == "native" else "max_tokens"]
    assert 0 < cap < 5_000


@STREAMS
async def test_what_cannot_be_paid_for_is_not_sent_and_leaves_nothing(asked: Asked, *, stream: bool) -> None:
    await asked.budget(10)

    body = {"model": "m", "input": "Hello, who are you?", "stream": stream, "max_output_tokens": 100}
    answer = await asked.client.post("/responses", json=body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert asked.upstream.requests == []
    assert await asked.rows() == [0, 0, 0, 0]


@ON_SQLITE
async def test_what_was_said_before_is_held_back_for_as_what_is_said_now(asked: Asked) -> None:
    first = await asked.made({"input": "word " * 2_000})
    await asked.budget(1_000)

    following = {"model": "m", "input": "Go on.", "previous_response_id": first["id"]}
    answer = await asked.client.post("/responses", json=following)

    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "insufficient_quota")
    assert asked.upstream.requests == []


@ON_SQLITE
@pytest.mark.parametrize("body", [None, {"input": "Hello"}, {"model": None, "input": "Hello"}])
async def test_a_response_needs_a_model(asked: Asked, body: Json) -> None:
    answer = await asked.client.post("/responses", **({"json": body} if body else {}))

    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, "model", "missing_required_parameter")
    assert asked.upstream.requests == []


@ON_SQLITE
@STREAMS
async def test_a_beta_is_asked_for_as_such_where_there_are_responses(asked: Asked, *, stream: bool) -> None:
    asked.will_say(stream=stream)

    body = {"model": "m", "input": "Hello", "stream": stream}
    answer = await asked.client.post("/responses?beta=true&other=1", json=body, headers={"openai-beta": "x"})
    shown = events_of(answer)[-1]["response"] if stream else answer.json()
    again = await asked.client.get(f"/responses/{shown['id']}?beta=true")

    assert again.json() == shown
    [request] = asked.upstream.requests
    if asked.kind == "native":
        assert (request.path, request.headers["openai-beta"]) == ("/v1/responses?beta=true", "x")
    else:
        assert (request.path, "openai-beta" in request.headers) == ("/v1/chat/completions", False)


@ON_SQLITE
async def test_a_beta_takes_what_only_it_knows(asked: Asked) -> None:
    agents = {
        "type": "agent_message",
        "author": "a",
        "recipient": "b",
        "content": [{"type": "input_text", "text": "Hi"}],
    }
    asked.will_say()

    body = {"model": "m", "input": [{"role": "user", "content": "Hello"}, agents]}
    usual = await asked.client.post("/responses", json=body)
    beta = await asked.client.post("/responses?beta=true", json=body)

    assert (usual.status_code, usual.json()["error"]["param"]) == (400, "input[1].type")
    if asked.kind == "native":
        assert (beta.status_code, asked.upstream.requests[0].json["input"][1]["type"]) == (200, "agent_message")
    else:
        assert (beta.status_code, beta.json()["error"]["param"]) == (400, "input[1].type")


@ON_SQLITE
async def test_a_client_that_asks_twice_under_one_idempotency_key_is_answered_once(asked: Asked) -> None:
    asked.will_say()
    headers = {"idempotency-key": "key-1"}

    first, again = [
        await asked.client.post("/responses", json={"model": "m", "input": "Hello"}, headers=headers) for _ in range(2)
    ]

    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert len(asked.upstream.requests) == len(await asked.running.records()) == 1

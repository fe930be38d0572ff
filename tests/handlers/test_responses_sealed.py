"""Sealed thoughts are asked for where the client does not ask; an upstream that refuses them is asked without."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from llm_backend.errors import Json
from tests.faulty import FaultyUpstream
from tests.handlers.responding import Asked, asking, events_of

SEALED = "reasoning.encrypted_content"
SOURCES = "file_search_call.results"
HI: Json = {"model": "m", "input": "Hi"}
BY_PARAM: Json = {"message": "Unsupported.", "type": "invalid_request_error", "param": "include", "code": None}
BY_MESSAGE: Json = {"message": "Encrypted content is not supported with this model."}
OTHER: Json = {"message": "No.", "type": "invalid_request_error", "param": "input", "code": None}

STREAMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@pytest.fixture
async def asked(database_url: str, tmp_path: Path, upstream: FaultyUpstream) -> AsyncIterator[Asked]:
    async with asking(database_url, tmp_path, upstream, "native") as made:
        yield made


def will_refuse(asked: Asked, error: Json = BY_PARAM, status: int = 400) -> None:
    asked.upstream.answers({"error": error}, status=status)


def included(asked: Asked) -> list[Json]:
    """What each request to the upstream had to be included; None: nothing was said of it."""
    return [request.json.get("include") for request in asked.upstream.requests]


@STREAMS
@pytest.mark.parametrize("refusal", [BY_PARAM, BY_MESSAGE], ids=["param", "message"])
async def test_what_only_we_asked_for_and_is_refused_is_left_out_and_nobody_notices(
    asked: Asked, refusal: Json, *, stream: bool
) -> None:
    will_refuse(asked, refusal)
    asked.will_say(stream=stream)

    answer = await asked.client.post("/responses", json=HI | {"stream": stream})

    told = events_of(answer)[-1]["response"] if stream else answer.json()
    assert (told["status"], told["output"][0]["content"][0]["text"]) == ("completed", "Hello")
    assert included(asked) == [[SEALED], None]
    [record] = await asked.running.records()
    assert (record.status, record.basis, record.prompt_tokens) == ("completed", "reported", 7)


async def test_it_is_left_out_in_the_background_too(asked: Asked) -> None:
    will_refuse(asked)
    asked.will_say(stream=True)

    begun = (await asked.client.post("/responses", json=HI | {"background": True})).json()
    last = events_of(await asked.client.get(f"/responses/{begun['id']}", params={"stream": "true"}))[-1]

    assert last["type"] == "response.completed"
    assert included(asked) == [[SEALED], None]
    assert len(await asked.running.records()) == 1


async def test_of_a_model_that_refused_it_once_it_is_not_asked_again(asked: Asked) -> None:
    will_refuse(asked)
    await asked.made()

    await asked.made()
    asked.will_say()
    await asked.client.post("/responses", json=HI | {"include": [SOURCES]})
    await asked.client.post("/responses", json=HI | {"model": "another"})

    assert included(asked) == [[SOURCES], [SEALED]]


async def test_what_the_client_wants_included_besides_is_still_asked_for(asked: Asked) -> None:
    will_refuse(asked)
    asked.will_say()

    await asked.client.post("/responses", json=HI | {"include": [SOURCES]})

    assert included(asked) == [[SOURCES, SEALED], [SOURCES]]


async def test_what_the_client_itself_asked_for_is_refused_to_it(asked: Asked) -> None:
    will_refuse(asked)

    answer = await asked.client.post("/responses", json=HI | {"include": [SEALED]})

    assert (answer.status_code, answer.json()["error"]) == (400, BY_PARAM)
    assert included(asked) == [[SEALED]]


@pytest.mark.parametrize(("error", "status"), [(OTHER, 400), (BY_PARAM, 403)])
async def test_another_refusal_is_the_clients(asked: Asked, error: Json, status: int) -> None:
    will_refuse(asked, error, status)

    answer = await asked.client.post("/responses", json=HI)

    assert answer.status_code == status
    assert included(asked) == [[SEALED]]


async def test_who_refuses_without_it_too_meant_something_else_and_is_asked_for_it_again(asked: Asked) -> None:
    will_refuse(asked)

    for _ in range(2):
        answer = await asked.client.post("/responses", json=HI | {"include": [SOURCES]})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "include")

    assert included(asked) == [[SOURCES, SEALED], [SOURCES]] * 2
    assert {(record.status, record.basis) for record in await asked.running.records()} == {("failed", "void")}

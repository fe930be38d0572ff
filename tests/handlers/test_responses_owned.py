"""Whose responses are, and what of them is kept: another account's are as none, and what is not to be kept is not."""

import asyncio

import httpx
import pytest
from sqlalchemy import update

from llm_backend.errors import Json
from llm_backend.storage.tables import account
from tests.databases import ON_SQLITE
from tests.faulty import Cut
from tests.handlers.relaying import USED, a_response, made_file, typed
from tests.handlers.responding import Asked, events_of

STREAMS = pytest.mark.parametrize("stream", [False, True])


def refusal(answer: httpx.Response) -> tuple[int, Json]:
    return answer.status_code, answer.json()["error"]["param"]


async def test_what_is_anothers_cannot_be_gone_on_from(asked: Asked) -> None:
    made = await asked.made()
    talk = (await asked.client.post("/conversations", json={})).json()["id"]
    said = made["output"][0]["id"]
    bodies: dict[str, Json] = {
        "previous_response_id": {"previous_response_id": made["id"], "input": "Hi"},
        "conversation": {"conversation": talk, "input": "Hi"},
        "input[1].id": {"input": [{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": said}]},
        "input[0].id": {"input": [{"id": said}]},
    }

    foreign = {param: await asked.other.post("/responses", json={"model": "m"} | bodies[param]) for param in bodies}
    asked.will_say()
    own = [await asked.client.post("/responses", json={"model": "m"} | body) for body in bodies.values()]

    assert {param: refusal(answer) for param, answer in foreign.items()} == {param: (404, param) for param in bodies}
    assert [answer.status_code for answer in own] == [200] * 4
    assert len(asked.upstream.requests) == 4


async def test_what_is_anothers_is_neither_read_nor_ended(asked: Asked) -> None:
    made = await asked.made()
    path = f"/responses/{made['id']}"

    foreign = [
        await asked.other.get(path),
        await asked.other.get(path, params={"stream": "true"}),
        await asked.other.get(f"{path}/input_items"),
        await asked.other.post(f"{path}/cancel"),
        await asked.other.delete(path),
    ]
    missing = await asked.other.get("/responses/resp_missing")

    assert [refusal(answer) for answer in foreign] == [(404, "response_id")] * 5
    assert {answer.content for answer in foreign} == {missing.content}
    assert (await asked.client.get(path)).json() == made


async def test_what_is_deleted_is_gone_with_all_that_was_said(asked: Asked) -> None:
    made = await asked.made()
    path = f"/responses/{made['id']}"

    deleted = await asked.client.delete(path)

    assert deleted.json() == {"id": made["id"], "object": "response", "deleted": True}
    assert refusal(await asked.client.get(path)) == (404, "response_id")
    assert refusal(await asked.client.delete(path)) == (404, "response_id")
    assert await asked.rows() == [0, 0, 0, 0]
    assert len(await asked.running.records()) == 1


@pytest.mark.parametrize("asked", ["chat"], indirect=True)
async def test_a_thread_goes_with_the_last_of_what_was_said_there_and_of_what_goes_on_from_it(asked: Asked) -> None:
    first = await asked.made()
    second = await asked.made({"previous_response_id": first["id"]})
    branch = await asked.made({"previous_response_id": first["id"]})
    twig = await asked.made({"previous_response_id": first["id"]})
    threads = []

    for each in (first, second, twig, branch):
        assert (await asked.client.delete(f"/responses/{each['id']}")).status_code == 200
        threads.append((await asked.rows())[2])

    # The first stands in one thread with the second, and the two branches go on from there.
    assert threads == [3, 3, 2, 0]


async def test_what_goes_on_while_it_is_deleted_is_kept(asked: Asked) -> None:
    made = await asked.made()
    asked.upstream.forget()
    for _ in range(4):
        asked.will_say()
    body = {"model": "m", "input": "And?", "previous_response_id": made["id"]}

    *answers, _ = await asyncio.gather(
        *(asked.client.post("/responses", json=body) for _ in range(4)),
        asked.client.delete(f"/responses/{made['id']}"),
    )

    assert {answer.status_code for answer in answers} <= {200, 404}
    for answer in answers:
        if answer.status_code == 200:
            assert (await asked.client.get(f"/responses/{answer.json()['id']}")).json() == answer.json()


@ON_SQLITE
async def test_an_input_may_name_ones_own_files_only(asked: Asked) -> None:
    await made_file(asked.client, asked.upstream, "file-1")
    asked.upstream.forget()
    asked.will_say()
    content = [{"type": "input_text", "text": "Read."}, {"type": "input_file", "file_id": "file-1"}]
    body = {"model": "m", "input": [{"role": "user", "content": content}]}
    tool = {"type": "file_search", "vector_store_ids": ["vs_1"]}

    own = await asked.client.post("/responses", json=body)
    foreign = await asked.other.post("/responses", json=body)
    searching = await asked.other.post("/responses", json={"model": "m", "input": "Hi", "tools": [tool]})

    assert own.status_code == 200, own.text
    assert refusal(foreign) == (404, "input[0].content[1].file_id")
    assert refusal(searching) == (404, "tools[0].vector_store_ids[0]")
    assert len(asked.upstream.requests) == 1


@ON_SQLITE
@STREAMS
@pytest.mark.parametrize("asked", ["native"], indirect=True)
async def test_a_container_that_an_answer_tells_of_is_ones_own(asked: Asked, *, stream: bool) -> None:
    call = {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1", "code": "1", "outputs": None}
    whole = a_response(output=[call | {"status": "completed"}], usage=USED)
    if stream:
        begun = typed("response.output_item.added", output_index=0, item=call | {"status": "in_progress"})
        asked.upstream.streams(begun, typed("response.completed", response=whole), Cut)
    else:
        asked.upstream.answers(whole)
    asked.upstream.answers({"id": "cntr_1", "object": "container"})

    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    body = {"model": "m", "input": "Add.", "tools": [tool], "stream": stream}
    answer = await asked.client.post("/responses", json=body)
    own = await asked.client.get("/containers/cntr_1")
    foreign = await asked.other.get("/containers/cntr_1")

    assert (answer.status_code, own.status_code) == (200, 200)
    assert refusal(foreign) == (404, "container_id")


@STREAMS
async def test_what_is_not_to_be_stored_is_not(asked: Asked, *, stream: bool) -> None:
    asked.will_say(stream=stream)

    body = {"model": "m", "input": "Hello", "store": False, "stream": stream}
    answer = await asked.client.post("/responses", json=body)

    told = events_of(answer)[-1]["response"] if stream else answer.json()
    assert (told["status"], told["store"]) == ("completed", False)
    assert refusal(await asked.client.get(f"/responses/{told['id']}")) == (404, "response_id")
    assert await asked.rows() == [0, 0, 0, 0]
    assert len(await asked.running.records()) == 1


@STREAMS
async def test_of_an_account_that_stores_nothing_nothing_is_kept(asked: Asked, *, stream: bool) -> None:
    async with asked.running.database.begin() as session:
        await session.execute(update(account).where(account.c.id == asked.running.account_id).values(stores=False))
    asked.will_say(stream=stream)

    body = {"model": "m", "input": "Hello", "stream": stream}
    answer = await asked.client.post("/responses", json=body)
    wanted = await asked.client.post("/responses", json=body | {"store": True})

    told = events_of(answer)[-1]["response"] if stream else answer.json()
    assert (told["status"], told["store"]) == ("completed", False)
    assert refusal(wanted) == (400, "store")
    assert await asked.rows() == [0, 0, 0, 0]


@ON_SQLITE
async def test_in_the_background_only_what_is_stored_is_made(asked: Asked) -> None:
    body = {"model": "m", "input": "Hello", "background": True, "store": False}

    answer = await asked.client.post("/responses", json=body)

    assert refusal(answer) == (400, "background")
    assert await asked.rows() == [0, 0, 0, 0]


@ON_SQLITE
@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({"a": "b\0"}, "metadata.a"),
        ({"a": "b" * 513}, "metadata.a"),
        ({"a": 1}, "metadata.a"),
        ({str(number): "a" for number in range(17)}, "metadata"),
        ({"a" * 65: "b"}, "metadata"),
    ],
)
async def test_metadata_has_bounds(asked: Asked, metadata: Json, param: str) -> None:
    answer = await asked.client.post("/responses", json={"model": "m", "input": "Hello", "metadata": metadata})

    assert answer.status_code == 400
    assert answer.json()["error"]["param"].startswith(param)
    assert asked.upstream.requests == []


@ON_SQLITE
async def test_a_response_goes_on_from_one_thing(asked: Asked) -> None:
    made = await asked.made()
    talk = (await asked.client.post("/conversations", json={})).json()["id"]

    body = {"model": "m", "input": "Hi", "previous_response_id": made["id"], "conversation": talk}
    answer = await asked.client.post("/responses", json=body)

    assert refusal(answer) == (400, "previous_response_id")
    assert answer.json()["error"]["code"] == "mutually_exclusive_parameters"
    assert asked.upstream.requests == []

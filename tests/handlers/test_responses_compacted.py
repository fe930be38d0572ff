"""A long talk made short: by the upstream where that can, else as a summary that is sealed here."""

import httpx
import pytest

from llm_backend.domain.responses.summaries import INTRODUCTION, MARK, Summaries
from llm_backend.domain.responses.summarizing import PROMPT
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import Json
from tests.databases import ON_SQLITE
from tests.faulty import FaultyUpstream, completion
from tests.handlers.answering import answering, asker, native, native_client, refused, told
from tests.handlers.conversing import says
from tests.handlers.relaying import USED, client, other
from tests.serving import SECRET_KEY, Running

__all__ = ["answering", "asker", "client", "native", "native_client", "other"]

COMPACT = "/compact"
TALK = [says("My name is Ada"), says("Hello Ada", "assistant"), says("Remember it")]
SEALED = {"type": "compaction", "id": "cmp_upstream", "encrypted_content": "gAAAAAB"}
BY_UPSTREAM = {"id": "resp_up", "object": "response.compaction", "created_at": 1, "output": [SEALED], "usage": USED}


async def compacted(client: httpx.AsyncClient, upstream: FaultyUpstream, summary: str = "A user, Ada.") -> Json:
    """What an upstream that has chats comes to."""
    upstream.answers(completion(summary, prompt=30, tokens=5))
    made = await told(client, COMPACT, model="m", input=TALK)
    upstream.forget()
    return made


async def test_a_talk_is_made_short_goes_on_and_is_charged_once(asker: httpx.AsyncClient, answering: Running) -> None:
    first = await told(asker, "", model="echo", input="My name is Ada")

    made = await told(asker, COMPACT, model="echo", input="Remember it", previous_response_id=first["id"])
    after = await told(asker, "", model="echo", input=[*made["output"], says("Who am I?")])

    assert (made["object"], made["id"].startswith("resp_")) == ("response.compaction", True)
    assert [item["type"] for item in made["output"]].count("compaction") == 1
    assert after["status"] == "completed"
    records = await answering.records()
    assert [record.operation for record in records] == ["createResponse", "compactResponse", "createResponse"]
    used = made["usage"]
    assert (records[1].prompt_tokens, records[1].completion_tokens) == (used["input_tokens"], used["output_tokens"])
    assert (records[1].basis, records[1].status) == ("reported", "completed")


async def test_a_compaction_is_not_kept(asker: httpx.AsyncClient) -> None:
    made = await told(asker, COMPACT, model="echo", input="Hello")

    assert (await asker.get(f"/responses/{made['id']}")).status_code == 404


async def test_another_beta_of_it_does_the_same(asker: httpx.AsyncClient) -> None:
    made = await asker.post("/responses/compact?beta=true", json={"model": "echo", "input": "Hello"})

    assert (made.status_code, made.json()["object"]) == (200, "response.compaction")


async def test_an_upstream_that_compacts_is_asked_with_all_that_was_said(
    native_client: httpx.AsyncClient, native: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(BY_UPSTREAM)

    made = await told(native_client, COMPACT, model="m", input=TALK, instructions="Be brief", stream=True)

    [asked] = upstream.requests
    assert asked.path == "/v1/responses/compact"
    assert asked.json.keys() == {"model", "input", "instructions"}
    assert [item["role"] for item in asked.json["input"]] == ["user", "assistant", "user"]
    assert made["id"] != "resp_up"
    assert made["output"] == [SEALED]
    [record] = await native.records()
    assert (record.operation, record.prompt_tokens, record.completion_tokens) == ("compactResponse", 7, 5)


async def test_what_an_upstream_sealed_is_sent_to_it_as_it_is(
    native_client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    upstream.answers({"object": "response.input_tokens", "input_tokens": 1})

    await told(native_client, "/input_tokens", model="m", input=[SEALED, says("Go on")])

    assert upstream.requests[0].json["input"][0] == SEALED


async def test_a_chat_is_asked_for_a_summary_which_is_sealed_behind_what_users_said(
    client: httpx.AsyncClient, relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(completion("A user, Ada.", prompt=30, tokens=5))

    made = await told(client, COMPACT, model="m", input=TALK, instructions="Be brief")

    [asked] = upstream.requests
    assert asked.path == "/v1/chat/completions"
    assert asked.json["messages"] == [{"role": "system", "content": "Be brief"}, *TALK, says(PROMPT)]
    *said, item = made["output"]
    assert [(each["role"], each["content"][0]["text"]) for each in said] == [
        ("user", "My name is Ada"),
        ("user", "Remember it"),
    ]
    assert {each["id"].partition("_")[0] for each in said} == {"msg"}
    assert item.keys() == {"id", "type", "encrypted_content"}
    assert item["encrypted_content"].startswith(MARK)
    assert "Ada" not in item["encrypted_content"]
    assert made["usage"]["total_tokens"] == 35
    [record] = await relaying.records()
    assert (record.operation, record.prompt_tokens, record.completion_tokens) == ("compactResponse", 30, 5)


async def test_a_summary_is_read_again_as_a_message(client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    made = await compacted(client, upstream)
    upstream.answers(completion("Ada"))

    await told(client, "", model="m", input=[*made["output"], says("Who am I?")])

    summary = says(f"{INTRODUCTION}A user, Ada.")
    assert upstream.requests[0].json["messages"] == [TALK[0], TALK[2], summary, says("Who am I?")]


async def test_a_summary_that_stands_in_what_was_said_before_is_read_as_well(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    made = await compacted(client, upstream)
    talk = (await client.post("/conversations", json={"items": made["output"]})).json()["id"]
    upstream.answers(completion("Ada"))

    first = await told(client, "", model="m", input="Who am I?", conversation=talk)
    await told(client, "", model="m", input="Sure?", previous_response_id=first["id"])

    summary = says(f"{INTRODUCTION}A user, Ada.")
    assert upstream.requests[1].json["messages"][:4] == [TALK[0], TALK[2], summary, says("Who am I?")]
    kept = (await client.get(f"/conversations/{talk}/items", params={"order": "asc"})).json()["data"]
    assert kept[2]["encrypted_content"] == made["output"][2]["encrypted_content"]


async def test_a_summary_of_a_summary_takes_its_place(client: httpx.AsyncClient, upstream: FaultyUpstream) -> None:
    first = await compacted(client, upstream)
    upstream.answers(completion("Ada, who asks who she is."))

    second = await told(client, COMPACT, model="m", input=[*first["output"], says("Who am I?")])

    assert [item["type"] for item in second["output"]] == ["message", "message", "message", "compaction"]
    assert second["output"][2]["content"][0]["text"] == "Who am I?"
    assert upstream.requests[0].json["messages"][2]["content"].startswith(INTRODUCTION)


async def test_a_summary_is_sent_to_an_upstream_that_compacts_as_a_message(
    native_client: httpx.AsyncClient, native: Running, upstream: FaultyUpstream
) -> None:
    item = Summaries(Secrets(SECRET_KEY.encode())).sealed("A user, Ada.", native.account_id)
    upstream.answers(BY_UPSTREAM)

    await told(native_client, COMPACT, model="m", input=[item, says("Who am I?")])

    assert upstream.requests[0].json["input"][0]["content"] == f"{INTRODUCTION}A user, Ada."


@pytest.mark.parametrize("path", ["", "/compact", "/input_tokens"])
async def test_a_summary_of_another_account_is_refused(
    client: httpx.AsyncClient, other: httpx.AsyncClient, upstream: FaultyUpstream, path: str
) -> None:
    made = await compacted(client, upstream)

    found = await refused(other, path, model="m", input=[says("Hello"), made["output"][-1]])

    assert found == (400, "invalid_encrypted_content", "input[1].encrypted_content")
    assert upstream.requests == []


@ON_SQLITE
@pytest.mark.parametrize("content", [f"{MARK}", f"{MARK}é", f"{MARK}AAAA", f"{MARK}{'A' * 400}"])
async def test_a_summary_that_is_damaged_is_refused(asker: httpx.AsyncClient, answering: Running, content: str) -> None:
    item = {"type": "compaction", "encrypted_content": content}

    found = await refused(asker, "", model="echo", input=[item], background=True)

    assert found == (400, "invalid_encrypted_content", "input[0].encrypted_content")
    assert await answering.records() == []


async def test_a_damaged_summary_of_before_is_named_by_what_it_stands_in(
    client: httpx.AsyncClient, upstream: FaultyUpstream
) -> None:
    item = {"type": "compaction", "encrypted_content": f"{MARK}AAAA"}
    talk = (await client.post("/conversations", json={"items": [item]})).json()["id"]

    found = await refused(client, "", model="m", input="Hello", conversation=talk)

    assert found == (400, "invalid_encrypted_content", "conversation")
    assert upstream.requests == []


async def test_what_another_model_made_short_is_no_summary(client: httpx.AsyncClient) -> None:
    found = await refused(client, COMPACT, model="m", input=[SEALED])

    assert found == (400, "unsupported_value", "input[0].encrypted_content")


async def test_an_answer_without_a_summary_is_a_failure_that_was_worked_for(
    client: httpx.AsyncClient, relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(completion(" "))

    assert (await refused(client, COMPACT, model="m", input=TALK))[0] == 502
    [record] = await relaying.records()
    assert (record.status, record.basis) == ("failed", "estimated")


async def test_a_summary_whose_tokens_nobody_tells_is_estimated_by_its_own_text(
    client: httpx.AsyncClient, relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers({**completion("12345678"), "usage": None})

    made = await told(client, COMPACT, model="m", input=TALK)

    [record] = await relaying.records()
    assert (record.basis, record.usage_missing, record.completion_tokens) == ("estimated", True, 2)
    assert made["usage"]["total_tokens"] == record.prompt_tokens + 2


@pytest.mark.parametrize(
    ("body", "param"),
    [({"input": "Hello"}, "model"), ({"model": "m"}, "input"), ({"model": "m", "input": []}, "input")],
)
async def test_a_compaction_names_its_model_and_something_to_be_made_short(
    client: httpx.AsyncClient, body: dict[str, object], param: str
) -> None:
    answer = await client.post("/responses/compact", json=body)

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_a_compaction_that_is_asked_for_twice_under_one_key_is_told_again(
    client: httpx.AsyncClient, relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(completion("A user, Ada.", prompt=30, tokens=5))
    asked, once = {"model": "m", "input": TALK}, {"idempotency-key": "once"}

    first, second = [await client.post("/responses/compact", json=asked, headers=once) for _ in range(2)]

    assert first.content == second.content
    assert len(await relaying.records()) == len(upstream.requests) == 1

"""What is left of responses that failed before they began, and what goes on from them."""

from llm_backend.domain.clock import SystemClock
from llm_backend.errors import Json
from llm_backend.storage import responses
from llm_backend.storage.responses import RESPONSE
from tests.handlers.responding import Asked, events_of

HI: Json = {"model": "m", "input": "Hi"}


async def test_what_a_failed_response_was_given_is_kept_and_gone_on_from(asked: Asked) -> None:
    first = await asked.made()
    path = await failed(asked, {"input": "How are you?", "previous_response_id": first["id"]})

    given = (await asked.client.get(f"{path}/input_items")).json()["data"]
    last = await asked.made({"input": "Well?", "previous_response_id": path.rpartition("/")[2]})
    listed = (await asked.client.get(f"/responses/{last['id']}/input_items")).json()["data"]

    assert [item["content"][0]["text"] for item in given] == ["How are you?"]
    assert [item["content"][0]["text"] for item in listed] == ["Well?"]
    asked.will_say()
    await asked.client.post("/responses", json=HI | {"previous_response_id": last["id"]})
    sent = asked.upstream.requests[-1].json
    texts = [one for each in sent.get("input") or sent["messages"] for one in words(each["content"])]
    assert texts == ["Hi", "Hello", "How are you?", "Well?", "Hello", "Hi"]


async def test_a_conversation_has_nothing_of_a_response_that_failed(asked: Asked) -> None:
    talk = (await asked.client.post("/conversations", json={})).json()["id"]

    path = await failed(asked, {"conversation": talk})

    items = (await asked.client.get(f"/conversations/{talk}/items")).json()["data"]
    given = (await asked.client.get(f"{path}/input_items")).json()["data"]
    assert (items, len(given)) == ([], 1)


async def test_what_died_with_its_process_is_not_gone_on_from_as_if_nothing_had_been_said(asked: Asked) -> None:
    now = SystemClock().now()
    left: Json = {"public_id": "resp_1", "account_id": asked.running.account_id, "kind": RESPONSE, "is_stored": True}
    left |= {"status": "failed", "model": "m", "body": b"{}", "metadata": {}, "created_at": now, "ended_at": now}
    async with asked.running.database.begin() as session:
        await responses.add(session, left)

    answer = await asked.client.post("/responses", json=HI | {"previous_response_id": "resp_1"})

    refused = answer.json()["error"]
    assert (answer.status_code, refused["param"]) == (400, "previous_response_id")
    assert refused["code"] == "previous_response_failed"


async def test_what_no_database_takes_is_no_conversation(asked: Asked) -> None:
    answer = await asked.client.post("/responses", json=HI | {"conversation": "conv_\0"})

    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "conversation")


async def begun(asked: Asked, body: Json = None) -> str:
    """The path of a response that is made in the background."""
    answer = await asked.client.post("/responses", json=HI | {"background": True} | (body or {}))
    assert answer.status_code == 200, answer.text
    return f"/responses/{answer.json()['id']}"


async def failed(asked: Asked, body: Json) -> str:
    """The path of one that its upstream has refused."""
    asked.upstream.answers({"error": {"message": "No.", "type": "invalid_request_error"}}, status=400)
    path = await begun(asked, body)
    events = events_of(await asked.client.get(path, params={"stream": "true"}))
    assert events[-1]["type"] == "response.failed"
    asked.upstream.forget()
    return path


def words(content: Json) -> list[str]:
    """The texts of a message."""
    return [content] if isinstance(content, str) else [part["text"] for part in content]

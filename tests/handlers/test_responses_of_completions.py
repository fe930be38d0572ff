"""Responses that go on from a chat completion that was kept: it is a dialogue as any other."""

from llm_backend.errors import Json
from tests.faulty import completion
from tests.handlers.conversing import says
from tests.handlers.responding import Asked

MESSAGES: list[Json] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "name": "Ada", "content": "What is my name?"},
]


async def kept(asked: Asked) -> str:
    """The id of a completion."""
    asked.upstream.answers(completion("Ada."))
    made = await asked.client.post("/chat/completions", json={"model": "m", "messages": MESSAGES, "store": True})
    assert made.status_code == 200, made.text
    asked.upstream.forget()
    return str(made.json()["id"])


def told(asked: Asked) -> list[tuple[str, str]]:
    """Who says what in what the upstream was asked last."""
    body = asked.upstream.requests[-1].json
    if asked.kind == "chat":
        return [(each["role"], each["content"]) for each in body["messages"]]
    return [(each["role"], each["content"][0]["text"]) for each in body["input"]]


async def test_a_response_goes_on_from_a_stored_completion(asked: Asked) -> None:
    completion_id = await kept(asked)

    first = await asked.made({"input": "Sure?", "previous_response_id": completion_id})
    asked.will_say()
    body = {"model": "m", "input": "Really?", "previous_response_id": first["id"]}
    answer = await asked.client.post("/responses", json=body)

    assert answer.status_code == 200, answer.text
    assert told(asked) == [
        ("system", "Be brief."),
        ("user", "What is my name?"),
        ("assistant", "Ada."),
        ("user", "Sure?"),
        ("assistant", "Hello"),
        ("user", "Really?"),
    ]
    # Items of responses have no word for who a user is: an upstream would refuse it.
    assert not any("name" in each for each in asked.upstream.requests[-1].json.get("input", ()))


async def test_a_completion_that_was_gone_on_from_stays_as_it_was(asked: Asked) -> None:
    completion_id = await kept(asked)
    first = await asked.made({"input": "Sure?", "previous_response_id": completion_id})

    messages = (await asked.client.get(f"/chat/completions/{completion_id}/messages")).json()["data"]
    listed = (await asked.client.get(f"/responses/{first['id']}/input_items")).json()["data"]

    assert [(each["role"], each.get("name"), each["content"]) for each in messages] == [
        ("system", None, "Be brief."),
        ("user", "Ada", "What is my name?"),
    ]
    assert [each["content"][0]["text"] for each in listed] == ["Sure?"]
    for path in ("", "/input_items"):
        assert (await asked.client.get(f"/responses/{completion_id}{path}")).status_code == 404


async def test_what_another_account_has_kept_cannot_be_gone_on_from(asked: Asked) -> None:
    body = {"model": "m", "input": [says("Sure?")], "previous_response_id": await kept(asked)}

    refused = await asked.other.post("/responses", json=body)

    assert (refused.status_code, refused.json()["error"]["param"]) == (404, "previous_response_id")
    assert asked.upstream.requests == []

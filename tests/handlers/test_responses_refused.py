"""What no request for a response may be is refused by its name, before anybody asks what its upstream has."""

import pytest

from llm_backend.domain.responses.requested import CHATS_OWN
from llm_backend.errors import Json
from tests.databases import ON_SQLITE
from tests.handlers.responding import Asked

pytestmark = ON_SQLITE

MISSING = ("input", "missing_required_parameter")
NOTHING: list[Json] = [{}, {"input": None}, {"input": []}, {"instructions": "Be brief."}]
PATHS = ("", "/compact", "/input_tokens")


@pytest.mark.parametrize("path", PATHS)
async def test_where_nothing_was_said_there_is_nothing_to_answer(asked: Asked, path: str) -> None:
    for body in NOTHING:
        assert await refusal(asked, body, path) == MISSING


async def test_a_conversation_without_items_says_nothing(asked: Asked) -> None:
    made = await asked.client.post("/conversations", json={})

    assert await refusal(asked, {"conversation": made.json()["id"]}) == MISSING


async def test_what_was_said_before_may_be_gone_on_from_without_a_word(asked: Asked) -> None:
    first = await asked.made()
    asked.will_say()

    answer = await asked.client.post("/responses", json={"model": "m", "previous_response_id": first["id"]})

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", PATHS)
async def test_a_field_of_chats_is_none_of_responses(asked: Asked, path: str) -> None:
    for field in CHATS_OWN:
        assert await refusal(asked, {"input": "Hi", field: 3}, path) == (field, "unknown_parameter")


async def test_null_is_no_field_of_chats(asked: Asked) -> None:
    told = await asked.made(dict.fromkeys(CHATS_OWN))

    assert (told["status"], told.keys() & CHATS_OWN) == ("completed", set())


async def test_what_nobody_can_include_is_named(asked: Asked) -> None:
    body = {"input": "Hi", "include": ["reasoning.encrypted_content", "nope"]}

    assert await refusal(asked, body) == ("include[1]", "invalid_value")


async def refusal(asked: Asked, body: Json, path: str = "") -> tuple[str, str]:
    """The field that is refused, and why; no upstream is asked."""
    answer = await asked.client.post(f"/responses{path}", json={"model": "m", **body})
    assert answer.status_code == 400, answer.text
    assert asked.upstream.requests == []
    error = answer.json()["error"]
    return error["param"], error["code"]

"""Ids of what is kept here that no database takes as a text: nobody's, wherever they are given."""

from typing import NamedTuple
from urllib.parse import quote

import pytest

from llm_backend.errors import Json
from tests.handlers.conversing import Talker, says
from tests.handlers.responding import Asked

NO_IDS = ["a\0b", "\0", "a\nb", "é" * 300, "a'b"]


class Place(NamedTuple):
    """Where an id is given."""

    method: str
    path: str
    param: str
    body: Json = None


PLACES = [
    Place("GET", "/responses/{id}", "response_id"),
    Place("GET", "/responses/{id}?stream=true", "response_id"),
    Place("GET", "/responses/{id}/input_items", "response_id"),
    Place("POST", "/responses/{id}/cancel", "response_id"),
    Place("DELETE", "/responses/{id}", "response_id"),
    Place("GET", "/responses/{response}/input_items?after={id}", "after"),
    Place("GET", "/conversations/{id}", "conversation_id"),
    Place("POST", "/conversations/{id}", "conversation_id", {"metadata": {}}),
    Place("DELETE", "/conversations/{id}", "conversation_id"),
    Place("GET", "/conversations/{id}/items", "conversation_id"),
    Place("POST", "/conversations/{id}/items", "conversation_id", {"items": [says("Hi")]}),
    Place("GET", "/conversations/{id}/items/msg_1", "conversation_id"),
    Place("DELETE", "/conversations/{id}/items/msg_1", "conversation_id"),
    Place("GET", "/conversations/{talk}/items?after={id}", "after"),
    Place("GET", "/conversations/{talk}/items/{id}", "item_id"),
    Place("DELETE", "/conversations/{talk}/items/{id}", "item_id"),
    Place("GET", "/chat/completions/{id}", "completion_id"),
    Place("POST", "/chat/completions/{id}", "completion_id", {"metadata": {}}),
    Place("DELETE", "/chat/completions/{id}", "completion_id"),
    Place("GET", "/chat/completions/{id}/messages", "completion_id"),
    Place("GET", "/chat/completions?after={id}", "after"),
    Place("GET", "/chat/completions/{completion}/messages?after={id}", "after"),
]

GIVEN: list[Json] = [
    {"previous_response_id": "{id}", "input": "Hi"},
    {"conversation": "{id}", "input": "Hi"},
    {"conversation": {"id": "{id}"}, "input": "Hi"},
    {"input": [{"type": "item_reference", "id": "{id}"}]},
]
"""Where one is given in a body."""


@pytest.mark.parametrize("no_id", NO_IDS, ids=ascii)
@pytest.mark.parametrize("asked", ["chat"], indirect=True)
async def test_what_can_be_no_id_is_nobodys_wherever_it_is_given(asked: Asked, no_id: str) -> None:
    made = await asked.made()
    asked.will_say()
    chat = {"model": "m", "messages": [says("Hi")], "store": True}
    completion = (await asked.client.post("/chat/completions", json=chat)).json()["id"]
    there = {"response": made["id"], "talk": await Talker(asked.client).talk(says("Hi")), "completion": completion}
    asked.upstream.forget()

    read = [await _asked(asked, place, place.path.format(id=quote(no_id, safe=""), **there)) for place in PLACES]
    given = [await asked.client.post("/responses", json={"model": "m"} | _with(body, no_id)) for body in GIVEN]

    # No path has a NUL or an end of line in it: then it is the path that is none.
    assert [each for each in read if each[2:] not in {(404, each[1]), (404, None)}] == []
    assert [each for each in read if each[1] == "after" and each[3] is None] == []
    assert {answer.status_code for answer in given} <= {400, 404}
    assert asked.upstream.requests == []


async def _asked(asked: Asked, place: Place, path: str) -> tuple[str, str, int, str | None]:
    """What was asked for, the field, the status, and the field that the answer names."""
    answer = await asked.client.request(place.method, path, json=place.body)
    return f"{place.method} {place.path}", place.param, answer.status_code, answer.json()["error"]["param"]


def _with(body: Json, no_id: str) -> Json:
    """The body with `no_id` where an id is to stand."""
    if isinstance(body, dict):
        return {name: _with(value, no_id) for name, value in body.items()}
    if isinstance(body, list):
        return [_with(each, no_id) for each in body]
    return body.replace("{id}", no_id)

"""The field that is wrong is found, named as OpenAI names it, and never shown."""

import json

import pytest

from llm_backend.contract.descent import find_fault
from llm_backend.contract.documents import merge
from llm_backend.contract.operations import operations
from llm_backend.contract.schemas import Schemas
from llm_backend.contract.validation import schemas_of
from llm_backend.errors import Json
from llm_backend.resources import resource
from tests.contract.wrong_bodies import (
    CALLED,
    ROWS,
    TEXT,
    assistant,
    chat,
    completion,
    embedding,
    parts,
    response,
    user,
)


class CountedSchemas(Schemas):
    """Knows how many values it was asked about."""

    def __init__(self, made: Schemas) -> None:
        vars(self).update(vars(made))
        self.questions = 0

    def is_valid(self, pointer: str, value: Json) -> bool:
        self.questions += 1
        return super().is_valid(pointer, value)

    def are_valid(self, pointer: str, values: list[Json]) -> bool:
        self.questions += 1
        return super().are_valid(pointer, values)


@pytest.fixture(scope="module")
def schemas() -> CountedSchemas:
    document = merge(resource("spec"))
    served = [operation for operation in operations(document) if operation.is_answered]
    return CountedSchemas(schemas_of(served, document["components"]["schemas"]))


@pytest.mark.parametrize(
    ("request_", "param", "code"), ROWS, ids=[f"{row[1]}-{row[2]}-{i}" for i, row in enumerate(ROWS)]
)
def test_the_field_that_is_wrong_is_named(
    schemas: CountedSchemas, request_: tuple[str, Json], param: str | None, code: str
) -> None:
    operation_id, body = request_
    assert not schemas.is_valid(f"/named/{operation_id}", body)

    error = find_fault(schemas, f"/named/{operation_id}", body).error()

    assert (error.param, error.code) == (param, code)
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    "request_",
    [
        chat(temperature=None, n=None, stop=None, tools=None, metadata=None, stream_options=None),
        chat(unheard_of={"x": [1]}, extra_body={"top_k": 3}, reasoning_effort="colossal"),
        chat(assistant(content=None, tool_calls=[CALLED]), {"role": "tool", "tool_call_id": "c", "content": [TEXT]}),
        parts(TEXT, {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}}),
        chat(user("nul \u0000 is data")),
        embedding([[1, 2], [3]]),
        completion([1, 2, 3], suffix=None),
    ],
)
def test_unusual_but_right_bodies_are_let_pass(schemas: CountedSchemas, request_: tuple[str, Json]) -> None:
    assert schemas.is_valid(f"/named/{request_[0]}", request_[1])


SECRET = "sk-very-secret-value"


@pytest.mark.parametrize(
    "request_",
    [
        chat({"role": SECRET, "content": "x"}),
        parts({"type": SECRET}),
        chat(tool_choice=SECRET),
        chat(stop=SECRET * 200),
        chat(metadata={SECRET * 10: SECRET}),
        chat(metadata={f"{SECRET} with spaces": 5}),
        chat(temperature=SECRET),
        chat(api_key=SECRET),
        embedding("a", encoding_format=SECRET),
    ],
)
def test_what_was_sent_is_never_shown(schemas: CountedSchemas, request_: tuple[str, Json]) -> None:
    error = find_fault(schemas, f"/named/{request_[0]}", request_[1]).error()

    assert SECRET not in json.dumps(error.envelope())


def test_a_literal_that_is_wrong_is_told_the_right_ones(schemas: CountedSchemas) -> None:
    error = find_fault(schemas, "/named/createChatCompletion", chat({"role": "robot", "content": ""})[1]).error()

    assert "'user'" in str(error)
    assert "'assistant'" in str(error)


def test_an_item_of_an_unknown_type_is_told_more_than_those_of_its_role(schemas: CountedSchemas) -> None:
    body = response({"type": "msg", "role": "user", "content": "x"})[1]

    error = find_fault(schemas, "/named/createResponse", body).error()

    assert "'message', 'file_search_call', " in str(error)


HOSTILE = {
    "two thousand bogus parts": parts(*[{"type": "x", "text": "y" * 1_000}] * 2_000),
    "two thousand parts, the last bogus": parts(*[TEXT] * 2_000, {"type": "x"}),
    "ten thousand messages, the last bad": chat(*[user("x")] * 9_999, {"role": "x"}),
    "ten thousand bad messages": chat(*[{"role": "x"}] * 10_000),
    "ten thousand keys": chat(metadata={f"k{index}": index for index in range(10_000)}),
    "ten thousand unknown fields": chat(n="x", **{f"k{index}": index for index in range(10_000)}),
    "a long list of tokens, the last a word": embedding([1] * 100_000 + ["x"]),
    "many lists of tokens, the last with a word": embedding([[1] * 50] * 2_047 + [["x"]]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_body_costs_a_bounded_number_of_questions(schemas: CountedSchemas, name: str) -> None:
    operation_id, body = HOSTILE[name]
    schemas.questions = 0

    find_fault(schemas, f"/named/{operation_id}", body)

    assert schemas.questions <= 200


def test_the_number_of_questions_grows_with_the_logarithm_of_the_list(schemas: CountedSchemas) -> None:
    counts = []
    for length in (100, 10_000):
        schemas.questions = 0
        find_fault(schemas, "/named/createChatCompletion", chat(*[user("x")] * (length - 1), {"role": "x"})[1])
        counts.append(schemas.questions)

    assert counts[1] - counts[0] <= 7

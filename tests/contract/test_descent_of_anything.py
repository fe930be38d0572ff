"""Whatever is put wherever into a body: a fault is found, it is short, and it shows nothing of what was sent."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from llm_backend.contract.descent import find_fault
from llm_backend.contract.documents import merge
from llm_backend.contract.operations import operations
from llm_backend.contract.schemas import Schemas
from llm_backend.contract.validation import schemas_of
from llm_backend.errors import Json
from llm_backend.resources import resource
from tests.contract.wrong_bodies import CALLED, FUNCTION, TEXT, assistant, chat, completion, embedding, user

MARK = "Zq7!"
IMAGE = {"type": "image_url", "image_url": {"url": "data:,", "detail": "low"}}
RIGHT = [
    chat(
        {"role": "system", "content": "s"},
        user([TEXT, IMAGE], name="n"),
        assistant(content=None, tool_calls=[CALLED]),
        {"role": "tool", "content": [TEXT], "tool_call_id": "c"},
        tools=[FUNCTION],
        tool_choice={"type": "function", "function": {"name": "f"}},
        response_format={"type": "json_schema", "json_schema": {"name": "j", "schema": {}}},
        metadata={"k": "v"},
        stop=["a"],
        stream_options={"include_usage": True},
        logit_bias={"5": 1},
        n=1,
    ),
    embedding(["a", "b"], encoding_format="float"),
    embedding([[1], [2]]),
    completion([1, 2], stop="x", best_of=1),
]
anything = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**63), 2**63 - 1) | some.floats(allow_nan=False) | some.just(MARK),
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from([MARK, "type"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    document = merge(resource("spec"))
    served = [operation for operation in operations(document) if operation.is_answered]
    return schemas_of(served, document["components"]["schemas"])


def places(value: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in `value`, itself included."""
    yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


def changed(body: Json, path: tuple[Any, ...], value: Json) -> Json:
    if not path:
        return value
    body = json.loads(json.dumps(body))  # no part may stand in two places
    within = body
    for key in path[:-1]:
        within = within[key]
    within[path[-1]] = value
    return body


def test_what_is_changed_here_is_right_to_begin_with(schemas: Schemas) -> None:
    for operation_id, body in RIGHT:
        assert schemas.is_valid(f"/named/{operation_id}", body)


@settings(max_examples=400, deadline=None)
@given(data=some.data())
def test_a_value_in_the_wrong_place_is_found_and_not_shown(schemas: Schemas, data: some.DataObject) -> None:
    operation_id, body = data.draw(some.sampled_from(RIGHT))
    path = data.draw(some.sampled_from(list(places(body))))
    body = changed(body, path, data.draw(anything))
    pointer = f"/named/{operation_id}"
    if schemas.is_valid(pointer, body):
        return

    error = find_fault(schemas, pointer, body).error()

    assert MARK not in json.dumps(error.envelope())
    assert len(str(error)) <= 300
    assert error.code


@settings(max_examples=200, deadline=None)
@given(data=some.data())
def test_the_fault_is_in_the_place_that_was_changed_or_in_what_holds_it(
    schemas: Schemas, data: some.DataObject
) -> None:
    operation_id, body = RIGHT[0]  # the lists of the others are ambiguous: in `[[], "b"]` either may be wrong
    path = data.draw(some.sampled_from([path for path in places(body) if path]))
    body = changed(
        body, path, data.draw(some.none() | some.booleans() | some.just(MARK) | some.just([]) | some.just({}))
    )
    pointer = f"/named/{operation_id}"
    if schemas.is_valid(pointer, body):
        return

    found = find_fault(schemas, pointer, body).path

    shared = min(len(found), len(path))
    assert found[:shared] == path[:shared]

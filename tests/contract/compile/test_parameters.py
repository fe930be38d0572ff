"""Parameters as the package writes them on the wire."""

import pytest

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.parameters import path_parameters, query_parameter
from llm_backend.errors import Json

WORDS = {"type": "array", "items": {"type": "string"}}


def query(schema: Json, *, required: bool = False) -> list[Json]:
    return query_parameter("a", schema, required=required, components={"request.Range": RANGE})


RANGE = {"type": "object", "properties": {"gt": {"type": ["integer", "null"]}}}


def test_an_id_in_a_path_has_a_pattern_unless_the_overlay_says_otherwise() -> None:
    file, model = path_parameters("/files/{file_id}/{model}", {"model": {"type": "string", "format": "path"}})

    assert file["schema"]["pattern"] == "^[A-Za-z0-9_-]{1,64}$"
    assert model["schema"] == {"type": "string", "format": "path"}


def test_a_list_is_called_with_brackets() -> None:
    (parameter,) = query({**WORDS, "type": ["array", "null"]}, required=True)

    assert parameter == {
        "in": "query",
        "name": "a[]",
        "required": True,
        "schema": WORDS,
        "style": "form",
        "explode": True,
    }


def test_an_object_is_deep_and_holds_plain_values() -> None:
    (parameter,) = query({"anyOf": [{"$ref": "#/components/schemas/request.Range"}, {"type": "null"}]})

    assert parameter["style"] == "deepObject"
    assert parameter["schema"] == {"type": "object", "properties": {"gt": {"type": "integer"}}}


def test_one_or_a_list_is_two_parameters_neither_required() -> None:
    found = query({"anyOf": [{"type": "string"}, WORDS]}, required=True)

    assert [(one["name"], one["required"]) for one in found] == [("a[]", False), ("a", False)]


def test_what_no_query_can_carry_stops_the_build() -> None:
    with pytest.raises(CompileError, match="no query can carry"):
        query({"anyOf": [WORDS, RANGE]})
    with pytest.raises(CompileError, match="no plain value"):
        query({"type": "object", "properties": {"deep": RANGE}})

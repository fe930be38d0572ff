"""Unions in their shortest form."""

import pytest

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.unions import not_null, nullable, union

TEXT = {"type": "string"}
NULL = {"type": "null"}


def test_enumerations_of_one_type_become_one() -> None:
    assert union([{"type": "string", "enum": ["a"]}, {"type": "string", "enum": ["b", "a"]}]) == {
        "type": "string",
        "enum": ["a", "b"],
    }


def test_nested_unions_are_flat_and_without_doubles() -> None:
    assert union([TEXT, {"anyOf": [TEXT, {"type": "integer"}]}]) == {"anyOf": [TEXT, {"type": "integer"}]}


def test_what_allows_everything_allows_everything() -> None:
    assert union([TEXT, {}]) == {}


def test_null_joins_the_type_or_stands_last() -> None:
    reference = {"$ref": "#/components/schemas/request.A"}

    assert union([NULL, TEXT]) == {"type": ["string", "null"]}
    assert union([NULL, reference]) == {"anyOf": [reference, NULL]}
    assert union([NULL]) == NULL


def test_an_enumeration_with_null_lists_null() -> None:
    assert nullable({"type": "string", "enum": ["a"]}) == {"type": ["string", "null"], "enum": ["a", None]}


def test_null_is_added_once_and_can_be_taken_away() -> None:
    enumeration = {"type": "string", "enum": ["a"]}

    assert nullable(nullable(enumeration)) == nullable(enumeration)
    assert not_null(nullable(enumeration)) == enumeration
    assert nullable({}) == {}


def test_a_union_of_nothing_stops_the_build() -> None:
    with pytest.raises(CompileError):
        union([])

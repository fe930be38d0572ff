"""Instances of JSON schemas."""

from typing import Any

import pytest

from llm_backend.upstream.echo.schema import Maker
from llm_backend.upstream.echo.script import Refusal

SCHEMAS: list[tuple[Any, Any]] = [
    ({}, "Hello"),
    (True, "Hello"),
    ({"type": "string"}, "Hello"),
    ({"type": "string", "maxLength": 2}, "He"),
    ({"type": "string", "minLength": 8}, "Hello..."),
    ({"type": "string", "format": "date"}, "2025-01-01"),
    ({"const": 7}, 7),
    ({"enum": ["b", "a"]}, "b"),
    ({"type": "string", "default": "x"}, "x"),
    ({"type": "integer"}, 0),
    ({"type": "integer", "minimum": 3}, 3),
    ({"type": "integer", "maximum": -3}, -3),
    ({"type": "integer", "exclusiveMinimum": 3, "maximum": 9}, 4),
    ({"type": "integer", "exclusiveMaximum": -3}, -4),
    ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
    ({"type": "integer", "maximum": -7, "multipleOf": 5}, -10),
    ({"type": "number", "minimum": 0.5}, 0.5),
    ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, 1),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.5),
    ({"type": "number", "minimum": 1, "multipleOf": 0.25}, 1.0),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"type": ["null", "boolean"]}, True),
    ({"type": ["null"]}, None),
    ({"type": "array", "items": {"type": "integer"}}, [0]),
    ({"items": {"type": "integer"}, "minItems": 2}, [0, 0]),
    ({"type": "array", "maxItems": 0}, []),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]}, [0, True]),
    ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
    ({"oneOf": [{"type": "null"}, {"type": "boolean"}]}, None),
    ({"properties": {"a": {"type": "integer"}}, "required": ["a", "b"]}, {"a": 0, "b": "Hello"}),
    (
        {
            "allOf": [{"$ref": "#/$defs/a"}, {"properties": {"b": {"type": "boolean"}}, "required": ["b"]}],
            "$defs": {"a": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}},
        },
        {"a": 0, "b": True},
    ),
    ({"allOf": [{"type": "integer"}, {"minimum": 2}]}, 2),
    ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}}, 0),
]


@pytest.mark.parametrize(("schema", "instance"), SCHEMAS)
def test_an_instance_is_always_the_same(schema: Any, instance: Any) -> None:
    assert Maker(schema, "Hello").make() == instance


RECURSIVE: list[Any] = [
    {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]},
    {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}, "required": ["children"]},
    {"type": "object", "properties": {"next": {"$ref": "#"}}},
    {"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/n"}}]}}},
]


@pytest.mark.parametrize("schema", RECURSIVE)
def test_a_recursive_schema_comes_to_an_end(schema: Any) -> None:
    assert Maker(schema, "Hello").make() is not None


IMPOSSIBLE: list[Any] = [
    7,
    {"type": "no-such-type"},
    {"minLength": "long"},
    False,
    {"$ref": "https://example.com/schema.json"},
    {"$ref": "#/$defs/missing"},
    {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": True}},
    {"type": "array", "minItems": 5000, "items": {"type": "integer"}},
    {"$ref": "#/default", "default": {"allOf": 7}},
    {"$ref": "#here", "$defs": {"a": {"$anchor": "here", "type": "integer"}}},
    {"$ref": "other", "$defs": {"a": {"$id": "other", "type": "integer"}}},
    {"$ref": "#/anyOf/0", "anyOf": [{"type": "integer"}]},
    {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]},
    {"type": "integer", "exclusiveMinimum": 1e300},
    {"type": "string", "pattern": "^[0-9]{4}$"},
]


@pytest.mark.parametrize("schema", IMPOSSIBLE)
def test_a_schema_that_cannot_be_satisfied_is_refused(schema: Any) -> None:
    with pytest.raises(Refusal):
        Maker(schema, "Hello").make()

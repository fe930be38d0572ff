"""Every keyword of the schema language that a document may use leads to the field it is about."""

import pytest

from llm_backend.contract.descent import find_fault
from llm_backend.contract.errors import ContractError
from llm_backend.contract.faults import Fault, dotted, missing, not_among
from llm_backend.contract.schemas import Schemas
from llm_backend.errors import Json

CAT = {"required": ["kind"], "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}}
DOG = {"required": ["kind"], "properties": {"kind": {"const": "dog"}, "tricks": {"items": {"type": "string"}}}}
BIRD = {"properties": {"wings": {"type": "integer"}, "song": {"type": "string"}}, "required": ["wings"]}
COMPONENTS = {"Cat": CAT, "Dog": DOG, "Name": {"type": "string", "minLength": 2}}
PET = {"anyOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}]}


def fault(schema: Json, value: Json) -> Fault:
    schemas = Schemas({"it": schema}, COMPONENTS)
    assert not schemas.is_valid("/named/it", value)
    return find_fault(schemas, "/named/it", value)


@pytest.mark.parametrize(
    ("schema", "value", "param", "code"),
    [
        ({"type": "number", "exclusiveMinimum": 0}, 0, "", "decimal_below_min_value"),
        ({"type": "number", "exclusiveMaximum": 1}, 1, "", "decimal_above_max_value"),
        ({"type": "number", "maximum": 2}, 3.5, "", "decimal_above_max_value"),
        ({"type": "number", "minimum": 2}, 1.5, "", "decimal_below_min_value"),
        ({"type": "string", "minLength": 2}, "x", "", "string_below_min_length"),
        ({"type": "array", "minItems": 2}, [1], "", "array_below_min_length"),
        ({"type": "object", "minProperties": 1}, {}, "", "empty_object"),
        ({"type": "string", "pattern": "^a+$"}, "b", "", "invalid_value"),
        ({"not": {"type": "string"}}, "b", "", "invalid_value"),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1, "", "invalid_value"),
        ({"const": 4}, 5, "", "invalid_value"),
        (False, 5, "", "unknown_parameter"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1, "b": 2}, "b", "unknown_parameter"),
        ({"additionalProperties": {"type": "integer"}}, {"a": 1, "b": "2"}, "b", "invalid_type"),
        ({"prefixItems": [{"type": "integer"}, {"type": "string"}]}, [1, 2], "[1]", "invalid_type"),
        ({"prefixItems": [{}], "items": {"type": "string"}}, [1, "a", 2], "[2]", "invalid_type"),
        ({"allOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1}, "b", "missing_required_parameter"),
        ({"$ref": "#/components/schemas/Name", "maxLength": 3}, "a", "", "string_below_min_length"),
        ({"$ref": "#/components/schemas/Name", "maxLength": 3}, "abcd", "", "string_above_max_length"),
        ({"anyOf": [{}, {"type": "string"}], "properties": {"b": False}}, {"b": 1}, "b", "unknown_parameter"),
        ({"oneOf": [PET, {"type": "null"}]}, {"kind": "cow"}, "kind", "invalid_value"),
        (PET, {"kind": "dog", "tricks": ["sit", 5]}, "tricks[1]", "invalid_type"),
        ({"propertyNames": {}, "additionalProperties": {"type": "integer"}}, {"k": ""}, "k", "invalid_type"),
        ({"type": "object", "dependentRequired": {"a": ["b"]}}, {"a": 1}, "", "invalid_value"),
        ({"type": "array", "contains": {"type": "integer"}}, ["a"], "", "invalid_value"),
        ({"not": {"type": "boolean"}}, True, "", "invalid_value"),
        ({"anyOf": [False, CAT]}, {}, "kind", "missing_required_parameter"),
        ({"anyOf": [CAT, DOG, BIRD]}, {"kind": "cow", "wings": "x"}, "wings", "invalid_type"),
        ({"anyOf": [{"properties": {"b": True}, "required": ["b"]}, CAT]}, {}, "b", "missing_required_parameter"),
        (PET, {"lives": 9}, "kind", "missing_required_parameter"),
        ({"anyOf": [CAT, BIRD]}, {"wings": 2, "song": 5}, "song", "invalid_type"),
        ({"anyOf": [CAT, BIRD]}, {"song": "la"}, "wings", "missing_required_parameter"),
        ({"anyOf": [{"enum": ["a", "b"]}, {"type": "string", "maxLength": 3}]}, "abcd", "", "string_above_max_length"),
        ({"anyOf": [{"enum": ["a", "b"]}, {"const": "c"}]}, "d", "", "invalid_value"),
        ({"anyOf": [{"type": "array"}, {"items": {"type": "integer"}}], "minItems": 1}, [], "", "empty_array"),
        ({"anyOf": [{"type": "array", "maxItems": 1}, {"type": "null"}]}, [1, 2], "", "array_above_max_length"),
    ],
)  # fmt: skip
def test_the_keyword_that_is_broken_gives_field_and_code(schema: Json, value: Json, param: str, code: str) -> None:
    found = fault(schema, value)

    assert (dotted(found.path), found.code) == (param, code)


def test_a_type_is_asked_for_in_words() -> None:
    error = fault({"anyOf": [{"type": "string"}, {"type": "array"}, {"type": "null"}]}, 5).error()

    assert str(error) == "The body must be a string or an array, not an integer."


def test_null_is_named_where_only_null_would_do() -> None:
    assert fault({"type": "null"}, True).error().args == ("The body must be null, not a boolean.",)


def test_a_long_list_of_literals_is_cut() -> None:
    found = not_among(("model",), [f"model-number-{index}" for index in range(100)])

    assert len(str(found.error())) < 300
    assert str(found.error()).endswith("'model-number-7', ....")


def test_a_deep_path_is_cut_in_the_message_but_kept_as_param() -> None:
    error = missing(("a" * 60,) * 8).error()

    assert len(str(error)) == 300
    assert error.param is not None
    assert error.param.count(".") == 7


def test_a_path_ends_before_a_key_that_a_client_made_up() -> None:
    assert dotted(("metadata", "a b\r\nc", "x")) == "metadata"


def test_a_schema_that_cannot_be_compiled_is_named() -> None:
    schemas = Schemas({"createIt": {"type": "strange"}}, {})

    with pytest.raises(ContractError, match="The schema of createIt cannot be used"):
        schemas.check("/named/createIt")


def test_a_component_that_is_missing_is_named() -> None:
    with pytest.raises(ContractError, match="#/components/schemas/Gone, which does not exist"):
        Schemas({"it": {"items": {"$ref": "#/components/schemas/Gone"}}}, {})


def test_components_that_nothing_reaches_are_let_go() -> None:
    schemas = Schemas({"it": PET}, COMPONENTS)

    with pytest.raises(KeyError):
        schemas.at("/components/schemas/Name")

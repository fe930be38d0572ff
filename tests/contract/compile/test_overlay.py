"""Exceptions and bounds, as data."""

from pathlib import Path
from typing import Any

import pytest

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.bounds import bounded
from llm_backend.contract.compile.overlay import Overlay, load, opened, with_other_types
from llm_backend.errors import Json

TEXT = {"type": "string"}
ENUM = {"type": "string", "enum": ["a"]}
REF = {"$ref": "#/components/schemas/request.A"}


def overlay(exceptions: Json | None = None, limits: Json | None = None, *, strict: bool = True) -> Overlay:
    empty: dict[str, Any] = {
        name: {} for name in ("alsoAnswered", "alsoJson", "answers", "binary", "events", "operationIds", "pages")
    }
    empty |= {"notTaken": {}, "openEnums": [], "openUnions": [], "optional": [], "pathParameters": {}}
    return Overlay(
        empty | (exceptions or {}), {"everywhere": {}, "operations": {}, "queries": {}} | (limits or {}), strict
    )


def applied(schema: Json, exceptions: Json | None = None, limits: Json | None = None) -> Json:
    components = {"request.A": schema}
    content = {"application/json": {"schema": REF}}
    paths = {"/a": {"post": {"operationId": "createA", "requestBody": {"content": content}}}}
    overlay(exceptions, limits).apply(paths, components)
    return components["request.A"]


def test_a_property_of_an_answer_also_holds_what_the_overlay_adds() -> None:
    components: Json = {"answer.A": {"type": "object", "properties": {"a": {"type": "array"}}}}

    overlay({"alsoAnswered": {"answer.A": {"a": TEXT}}}).apply({}, components)

    assert components["answer.A"]["properties"]["a"] == {"anyOf": [{"type": "array"}, TEXT]}


def test_what_the_overlay_adds_may_be_said_of_several_answers_at_once() -> None:
    components: Json = {
        "answer.x.A": {"type": "object", "properties": {"a": {"type": "array"}}},
        "answer.y.A": {"type": "object", "properties": {"b": {"type": "array"}}},
        "answer.z.A": {"anyOf": []},
    }

    overlay({"alsoAnswered": {"answer.*.A": {"a": TEXT}}}).apply({}, components)

    assert components["answer.x.A"]["properties"]["a"] == {"anyOf": [{"type": "array"}, TEXT]}
    assert components["answer.y.A"]["properties"] == {"b": {"type": "array"}}


def test_an_open_enumeration_keeps_what_it_knows() -> None:
    assert opened({"type": ["string", "null"], "enum": ["a", None]}, {}) == {
        "type": ["string", "null"],
        "x-known-values": ["a"],
    }
    assert opened({"type": "array", "items": ENUM}, {})["items"] == {"type": "string", "x-known-values": ["a"]}
    assert opened(REF, {"request.A": ENUM}) == {"type": "string", "x-known-values": ["a"]}


def test_an_object_is_not_opened_by_name() -> None:
    assert opened(REF, {"request.A": {"type": "object", "properties": {"b": ENUM}}}) == REF


def test_a_union_told_apart_by_type_takes_yet_another_type() -> None:
    known = {"type": "object", "properties": {"type": ENUM}, "required": ["type"]}

    schema = with_other_types({"type": "array", "items": REF}, {"request.A": known})

    other = {"type": "object", "properties": {"type": {"type": "string", "not": {"enum": ["a"]}}}, "required": ["type"]}
    assert schema["items"] == {"anyOf": [REF, other]}


def test_what_clients_leave_out_is_neither_required_nor_null_free() -> None:
    schema = {"type": "object", "properties": {"type": dict(ENUM), "b": dict(TEXT)}, "required": ["b", "type"]}

    found = applied(schema, {"optional": [{"where": {"type": "a"}, "fields": ["b"]}]})

    assert found["required"] == ["type"]
    assert found["properties"]["b"] == {"type": ["string", "null"]}


def test_a_bound_reaches_the_branch_of_its_type() -> None:
    rule = {"string": {"maxLength": 9}, "array": {"maxItems": 2, "items": {"string": {"maxLength": 9}}}}

    found = bounded({"anyOf": [TEXT, {"type": "array", "items": TEXT}, {"type": "null"}]}, rule, {})

    assert found == {
        "anyOf": [
            {"type": "string", "maxLength": 9},
            {"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 2},
            {"type": "null"},
        ]
    }


def test_a_bound_of_one_kind_of_array_goes_before_that_of_all() -> None:
    rule = {"array": {"maxItems": 2}, "array<integer>": {"minItems": 1}}

    assert bounded({"type": "array", "items": {"type": "integer"}}, rule, {}) == {
        "type": "array",
        "items": {"type": "integer"},
        "minItems": 1,
    }


def test_a_bound_reaches_the_values_of_an_object_and_behind_a_reference() -> None:
    rule = {"object": {"maxProperties": 2, "values": {"string": {"maxLength": 9}}}}
    components = {"request.A": {"type": "object", "additionalProperties": TEXT}}

    found = bounded(REF, rule, components)

    assert found["maxProperties"] == 2
    assert found["additionalProperties"]["maxLength"] == 9
    assert components["request.A"] == {"type": "object", "additionalProperties": TEXT}


def test_bounds_hold_everywhere_by_pattern_or_in_one_operation() -> None:
    schema = {"type": "object", "properties": {"file_id": dict(TEXT), "deep": {"properties": {}, "type": "object"}}}

    found = applied(
        schema,
        limits={
            "everywhere": {"*_id": {"string": {"minLength": 1}}},
            "operations": {"createA": {"file_id": {"string": {"maxLength": 9}}}},
        },
    )

    assert found["properties"]["file_id"] == {"type": "string", "minLength": 1, "maxLength": 9}


def test_one_operation_does_not_take_objects_of_a_type() -> None:
    kinds: list[Json] = [{"type": "object", "properties": {"type": ENUM | {"enum": [each]}}} for each in ("a", "b")]
    listed = {"type": ["array", "null"], "items": {"anyOf": [*kinds, TEXT]}}
    schema = {"type": "object", "properties": {"items": listed}}

    found = applied(schema, {"notTaken": {"createA": {"items": ["a"]}}})

    assert found["properties"]["items"] == {"type": ["array", "null"], "items": {"anyOf": [kinds[1], TEXT]}}


def test_a_bound_reaches_a_parameter_of_one_operations_query() -> None:
    limit: Json = {"name": "limit", "in": "query", "schema": {"type": "integer"}}
    order: Json = {"name": "order", "in": "query", "schema": dict(TEXT)}
    paths = {"/a": {"get": {"operationId": "listA", "parameters": [limit, order]}}}
    paths |= {"/b": {"get": {"operationId": "listB", "parameters": [dict(limit)]}}}

    overlay(limits={"queries": {"listA": {"limit": {"integer": {"maximum": 100}}}}}).apply(paths, {})

    assert limit["schema"] == {"type": "integer", "maximum": 100}
    assert order["schema"] == TEXT
    assert paths["/b"]["get"]["parameters"][0]["schema"] == {"type": "integer"}


@pytest.mark.parametrize(
    ("exceptions", "limits"),
    [
        ({"openEnums": ["missing"]}, {}),
        ({"openUnions": ["missing"]}, {}),
        ({"notTaken": {"createA": {"missing": ["a"]}}}, {}),
        ({"notTaken": {"createA": {"b": ["a"]}}}, {}),
        ({"operationIds": {"GET /missing": "getMissing"}}, {}),
        ({"optional": [{"where": {"type": "missing"}, "fields": ["b"]}]}, {}),
        ({"events": {"GET /missing": "x:Y"}}, {}),
        ({}, {"everywhere": {"missing": {"string": {"maxLength": 1}}}}),
        ({}, {"operations": {"createA": {"missing": {"string": {"maxLength": 1}}}}}),
        ({}, {"queries": {"createA": {"missing": {"string": {"maxLength": 1}}}}}),
        ({}, {"queries": {"listMissing": {"limit": {"integer": {"maximum": 1}}}}}),
    ],
)
def test_a_rule_that_matches_nothing_stops_the_build(exceptions: Json, limits: Json) -> None:
    with pytest.raises(CompileError, match="match nothing"):
        applied({"type": "object", "properties": {"b": dict(TEXT)}}, exceptions, limits)


def test_a_section_of_an_unknown_name_stops_the_build() -> None:
    with pytest.raises(CompileError, match="unknown sections"):
        overlay({"opperationIds": {}})


def test_an_unknown_page_class_and_an_unknown_stream_stop_the_build() -> None:
    with pytest.raises(CompileError, match="an unknown page class: SyncNewPage"):
        overlay().page("SyncNewPage")
    with pytest.raises(CompileError, match="does not name its events"):
        overlay().event("GET /events")


def test_both_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "overlay.yaml").write_text("operationIds: {GET /a: getA}\n")
    (tmp_path / "limits.yaml").write_text("everywhere: {}\noperations: {}\n")

    assert load(tmp_path).operation_id("GET /a") == "getA"

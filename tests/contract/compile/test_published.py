"""OpenAI's published document: compared with ours, and compiled in its place."""

import pytest

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.document import operations, written
from llm_backend.contract.compile.intersections import intersection
from llm_backend.contract.compile.names import shape
from llm_backend.contract.compile.overlay import load
from llm_backend.contract.compile.published import Reader, compile_published
from llm_backend.contract.compile.sites import read_package
from llm_backend.errors import Json
from llm_backend.resources import resource

ABSENT = {"POST /evals/{}/runs/{}": "cancels a run; the package has moved it to …/cancel"}
METHODS = ("delete", "get", "patch", "post", "put")


def keyed(document: Json) -> dict[str, Json]:
    return {
        shape(f"{method.upper()} {path}"): item[method]
        for path, item in document["paths"].items()
        for method in METHODS
        if method in item
    }


@pytest.fixture(scope="module")
def from_published(published: Json) -> Json:
    return compile_published(published, load(resource("spec"), strict=False))


def test_every_published_operation_is_there_but_for_named_ones(published: Json, document: Json) -> None:
    assert set(keyed(published)) - set(keyed(document)) == set(ABSENT)
    assert len(ABSENT) <= 5


def test_what_is_compiled_from_the_published_document_has_our_ids_and_tags(
    from_published: Json, document: Json
) -> None:
    theirs, ours = keyed(from_published), keyed(document)

    assert len(theirs) == 288
    for key in theirs.keys() & ours.keys():
        assert theirs[key]["operationId"] == ours[key]["operationId"]
        assert theirs[key]["tags"] == ours[key]["tags"]
        assert theirs[key].get("x-stream") == ours[key].get("x-stream")


def test_it_names_what_the_package_knows_and_it_does_not_so_that_a_policy_may_speak_of_both(
    from_published: Json, document: Json
) -> None:
    ids = {one["operationId"] for one in keyed(from_published).values()}
    ours = {one["operationId"] for one in keyed(document).values()}

    assert set(from_published["x-left-out"]) == ours - ids


def test_its_path_parameters_have_our_names(from_published: Json, document: Json) -> None:
    assert set(from_published["paths"]) <= set(document["paths"])


def test_it_carries_no_prose_no_choice_of_exactly_one_and_nothing_closed(from_published: Json) -> None:
    text = written(from_published).decode()

    for keyword in ('"oneOf"', '"allOf"', '"nullable"', '"x-oaiMeta"', '"additionalProperties":false'):
        assert keyword not in text


def test_its_bounds_are_ours(from_published: Json) -> None:
    components = from_published["components"]["schemas"]
    (media,) = from_published["paths"]["/chat/completions"]["post"]["requestBody"]["content"].values()
    body = components[media["schema"]["$ref"].rpartition("/")[2]]["properties"]

    assert (body["messages"]["minItems"], body["messages"]["maxItems"]) == (1, 10000)
    assert body["temperature"] == {"type": ["number", "null"]}
    assert body["n"] == {"type": ["integer", "null"], "minimum": 1, "maximum": 128}
    assert body["model"]["maxLength"] == 256


def test_the_package_knows_its_requests_without_the_document() -> None:
    assert "POST /chat/completions" in {site.key for site in operations(read_package())}


SOURCE = {
    "Named": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 3}}, "required": ["name"]},
    "Sized": {"type": "object", "properties": {"size": {"type": "integer", "description": "how large"}}},
    "Both": {"allOf": [{"$ref": "#/components/schemas/Named"}, {"$ref": "#/components/schemas/Sized"}]},
    "Nested": {"type": "object", "properties": {"inner": {"$recursiveRef": "#"}}, "$recursiveAnchor": True},
    "Strange": {"type": "object", "unevaluatedProperties": False},
}


def test_parts_of_an_all_of_become_one_object() -> None:
    reader = Reader("request", SOURCE)
    reader.reference("Both")

    assert reader.components["request.Both"] == {
        "type": "object",
        "properties": {"name": {"type": "string"}, "size": {"type": ["integer", "null"]}},
        "required": ["name"],
    }


def test_one_of_becomes_any_of_and_nullable_becomes_null() -> None:
    reader = Reader("request", SOURCE)

    schema = reader.schema({"oneOf": [{"type": "string"}, {"const": 1}], "nullable": True, "example": "x"})

    assert schema == {"anyOf": [{"type": "string"}, {"type": "integer", "enum": [1]}, {"type": "null"}]}


def test_a_recursive_reference_is_to_its_own_component() -> None:
    reader = Reader("answer", SOURCE)
    reader.reference("Nested")

    inner = reader.components["answer.Nested"]["properties"]["inner"]
    assert inner == {"$ref": "#/components/schemas/answer.Nested"}


def test_an_unknown_keyword_stops_the_build_with_its_place() -> None:
    with pytest.raises(CompileError, match=r"\['unevaluatedProperties'\] in Strange"):
        Reader("request", SOURCE).reference("Strange")


def test_a_reference_to_nothing_stops_the_build() -> None:
    with pytest.raises(CompileError, match="no component is called Missing"):
        Reader("request", SOURCE).reference("Missing")


def test_what_is_no_document_stops_the_build() -> None:
    overlay = load(resource("spec"), strict=False)

    with pytest.raises(CompileError, match=r"no OpenAPI 3\.1 document"):
        compile_published({"swagger": "2.0"}, overlay)
    with pytest.raises(CompileError, match="has no components and no paths"):
        compile_published({"openapi": "3.1.0", "info": {}}, overlay)


def test_an_intersection_with_a_union_is_a_union_of_intersections() -> None:
    first = {"type": "object", "properties": {"a": {}}}
    branches = [{"type": "object", "properties": {"b": {}}}, {"type": "object", "properties": {"c": {}}}]

    found = intersection(first, {"anyOf": branches}, {})

    assert [set(branch["properties"]) for branch in found["anyOf"]] == [{"a", "b"}, {"a", "c"}]


def test_an_intersection_of_other_things_than_objects_stops_the_build() -> None:
    with pytest.raises(CompileError, match="other things than objects"):
        intersection({"type": "string"}, {"type": "integer"}, {})

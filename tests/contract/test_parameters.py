"""Queries and paths become typed values, or errors that name them."""

import pytest

from llm_backend.contract.operations import Operation
from llm_backend.contract.parameters import Parameters
from llm_backend.contract.validation import schemas_of
from llm_backend.errors import InvalidRequest, Json, ModelNotFound, NotFound

ONE_OR_LIST = {"anyOf": [{"enum": ["on", "off"]}, {"type": "array", "items": {"enum": ["on", "off"]}}]}
PERIOD = {"type": "object", "properties": {"gte": {"type": "integer"}}, "additionalProperties": False}
DECLARED: dict[str, Json] = {
    "limit": {"type": ["integer", "null"], "maximum": 100},
    "ratio": {"type": "number"},
    "all": {"type": "boolean"},
    "order": {"enum": ["asc", "desc"]},
    "include[]": {"type": "array", "items": {"type": "string"}},
    "numbers": {"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
    "status": ONE_OR_LIST,
    "metadata": {"anyOf": [{"type": "object", "additionalProperties": {"type": "string"}}, {"type": "null"}]},
    "created": PERIOD,
    "open": {"type": "object"},
    "pageSize": {"type": "integer"},
}


def parameters(path: dict[str, Json] | None = None, **changes: Json) -> Parameters:
    declared = [{"name": name, "in": "query", "schema": schema} for name, schema in DECLARED.items()]
    declared += [
        {"name": name, "in": "path", "required": True, "schema": schema} for name, schema in (path or {}).items()
    ]
    declared = [each | changes if each["name"] == "numbers" else each for each in declared]
    declared.append({"name": "openai-beta", "in": "header", "schema": {"type": "string"}})
    operation = Operation("/x", "get", {"operationId": "listThings", "parameters": declared})
    return Parameters(operation, schemas_of([operation], {}))


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("", {}),
        ("limit=20", {"limit": 20}),
        ("limit=20&limit=30", {"limit": 30}),
        ("pageSize=3", {"page_size": 3}),
        ("ratio=0.5", {"ratio": 0.5}),
        ("ratio=-1e3", {"ratio": -1000.0}),
        ("ratio=1e-300", {"ratio": 1e-300}),
        ("all=true", {"all": True}),
        ("all=false", {"all": False}),
        ("order=desc", {"order": "desc"}),
        ("include[]=a&include[]=b%20c", {"include": ["a", "b c"]}),
        ("include%5B%5D=a", {"include": ["a"]}),
        ("include=a&include=b", {"include": ["a", "b"]}),
        ("numbers=1&numbers=2", {"numbers": [1, 2]}),
        ("status=on", {"status": "on"}),
        ("status[]=on&status[]=off", {"status": ["on", "off"]}),
        ("status[]=off", {"status": ["off"]}),
        ("metadata[k]=v&metadata[other]=5", {"metadata": {"k": "v", "other": "5"}}),
        ("created[gte]=5", {"created": {"gte": 5}}),
        ("open[a]=5", {"open": {"a": "5"}}),
        ("unheard=of&limit=1", {"limit": 1}),
        ("include[]=", {"include": [""]}),
    ],
)
def test_a_query_is_read_as_the_types_it_is_declared_with(query: str, arguments: Json) -> None:
    assert parameters().read({}, query.encode()) == arguments


def test_an_operation_with_a_path_only_reads_no_query() -> None:
    declared = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    operation = Operation("/x/{id}", "get", {"operationId": "getThing", "parameters": declared})

    assert Parameters(operation, schemas_of([operation], {})).read({"id": "a"}, b"x=%FF") == {"id": "a"}


def test_a_list_between_commas_is_split_where_the_document_says_so() -> None:
    assert parameters(explode=False).read({}, b"numbers=1,2,3") == {"numbers": [1, 2, 3]}


@pytest.mark.parametrize(
    ("query", "param", "code"),
    [
        ("limit=many", "limit", "invalid_type"),
        ("limit=", "limit", "invalid_type"),
        ("limit=101", "limit", "integer_above_max_value"),
        ("limit=" + "9" * 5_000, "limit", "invalid_type"),
        ("ratio=NaN", "ratio", "invalid_type"),
        ("ratio=1e999", "ratio", "invalid_type"),
        ("all=perhaps", "all", "invalid_type"),
        ("order=up", "order", "invalid_value"),
        ("numbers=1&numbers=x", "numbers[1]", "invalid_type"),
        ("status=up", "status", "invalid_value"),
        ("status=off&status=up", "status[1]", "invalid_value"),
        ("created[gte]=soon", "created.gte", "invalid_type"),
        ("created[never]=5", "created.never", "unknown_parameter"),
    ],
)
def test_a_query_that_does_not_fit_is_named(query: str, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parameters().read({}, query.encode())

    assert (refused.value.param, refused.value.code) == (param, code)


@pytest.mark.parametrize("query", [b"limit=%FF", b"limit=\xff", b"&".join([b"a=1"] * 1_001)])
def test_a_query_that_cannot_be_read_is_refused_whole(query: bytes) -> None:
    with pytest.raises(InvalidRequest, match="not one that can be read"):
        parameters().read({}, query)


def test_a_query_that_is_needed_is_asked_for() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parameters(required=True).read({}, b"limit=1")

    assert (refused.value.param, refused.value.code) == ("numbers", "missing_required_parameter")


def test_a_path_is_typed_too() -> None:
    read = parameters({"chat-id": {"type": "integer", "maximum": 2**63 - 1}}).read

    assert read({"chat_id": "7"}, b"") == {"chat_id": 7}


def test_a_model_that_cannot_be_one_is_told_as_any_other_that_is_not_there() -> None:
    with pytest.raises(ModelNotFound) as refused:
        parameters({"model": {"type": "string", "maxLength": 256}}).read({"model": "m" * 257}, b"")

    assert (refused.value.param, refused.value.code) == ("model", "model_not_found")


@pytest.mark.parametrize("number", ["9" * 5_000, "9" * 20, "x", "", "1.5", "\u0661"])
def test_a_path_that_is_no_number_names_nothing(number: str) -> None:
    with pytest.raises(NotFound, match=r"^Not found: what 'chat_id' names does not exist or is not"):
        parameters({"chat_id": {"type": "integer", "maximum": 2**63 - 1}}).read({"chat_id": number}, b"")

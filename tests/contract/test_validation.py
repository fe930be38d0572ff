"""A request pays once for being parsed, and nothing for the validators being there."""

from pathlib import Path

import pytest

from llm_backend.contract.documents import merge
from llm_backend.contract.validation import BodyCheck, validator_map
from llm_backend.errors import InvalidJson, InvalidRequest, Json
from tests.contract.contracts import openai_document, spec_folder


@pytest.fixture
def document(tmp_path: Path) -> Json:
    return merge(spec_folder(tmp_path / "spec"))


def body_check(document: Json) -> BodyCheck:
    check: BodyCheck = validator_map(document)["body"]["application/json"](
        schema={"x-operation": "createThing"}, required=False, nullable=False, encoding="utf-8"
    )
    return check


def test_the_validator_of_an_operation_is_the_same_for_each_request(document: Json) -> None:
    made = validator_map(document)["body"]["application/json"]
    schema = {"x-operation": "createThing"}

    assert made(schema=schema, required=True) is made(schema=schema, required=True)


def test_the_parameters_validator_is_its_own_instance(document: Json) -> None:
    made = validator_map(document)["parameter"]

    assert made([], uri_parser=None, strict_validation=False, security_query_params=[]) is made


def test_a_body_is_read_to_the_value_it_says(document: Json) -> None:
    assert body_check(document).read(b'{"name": "chair", "size": null}') == {"name": "chair", "size": None}


def test_a_body_that_is_no_json_is_refused_before_its_schema_is_asked(document: Json) -> None:
    with pytest.raises(InvalidJson):
        body_check(document).read(b'{"name": ')


def test_an_empty_body_is_refused_where_one_is_needed(document: Json) -> None:
    with pytest.raises(InvalidRequest, match="needs a JSON body"):
        body_check(document).read(b"")


def test_an_empty_body_is_none_where_none_is_needed(tmp_path: Path) -> None:
    openai = openai_document()
    openai["paths"]["/things"]["post"]["requestBody"]["required"] = False

    assert body_check(merge(spec_folder(tmp_path / "optional", openai=openai))).read(b"") is None


def test_a_right_body_compiles_nothing_after_the_first(document: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    check = body_check(document)
    check.read(b'{"name": "table"}')
    monkeypatch.setattr("jsonschema_rs.Draft202012Validator", None)

    assert check.read(b'{"name": "chair"}') == {"name": "chair"}


def test_a_field_that_an_upstream_would_obey_is_refused(document: Json) -> None:
    with pytest.raises(InvalidRequest) as refused:
        body_check(document).read(b'{"name": "chair", "extra_body": {"api_base": "http://elsewhere"}}')

    assert (refused.value.param, refused.value.code) == ("extra_body.api_base", "unknown_parameter")
    assert "elsewhere" not in str(refused.value)


def test_only_operations_that_are_served_have_validators(document: Json) -> None:
    with pytest.raises(KeyError):
        validator_map(document)["body"]["application/json"](schema={"x-operation": "createStuff"})

"""How large a body may be, and whose it is, told before anything is routed."""

import re
from pathlib import Path

import pytest

from llm_backend.contract.bodies import body_limit
from llm_backend.contract.documents import merge
from llm_backend.contract.errors import ContractError
from llm_backend.contract.operations import operations
from llm_backend.edge.media import Readable
from llm_backend.resources import resource
from tests.contract.contracts import openai_document, spec_folder


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return tmp_path / "spec"


def test_only_a_body_that_reaches_a_model_may_be_large(spec: Path) -> None:
    limit = body_limit(merge(spec_folder(spec)))

    assert limit("POST", "/v1/things") == Readable(9_000)
    assert limit("GET", "/v1/things") == Readable(1_000, 1_000)
    assert limit("POST", "/nowhere") == Readable(1_000, 1_000)


def test_the_body_of_what_is_not_served_is_nobodys(spec: Path) -> None:
    limit = body_limit(
        merge(spec_folder(spec, policy={"operations": {"getThing": {"fate": "not_served", "reason": "No."}}}))
    )

    assert limit("POST", "/v1/stuff") is None
    assert limit("GET", "/v1/things/a-1") is None
    assert limit("GET", "/v1/stuff") == Readable(1_000, 1_000)


def test_a_limit_reaches_every_path_of_a_template(spec: Path) -> None:
    limit = body_limit(merge(spec_folder(spec, policy={"operations": {"getThing": {"body": "model"}}})))

    assert limit("GET", "/v1/things/a-1") == Readable(9_000)
    assert limit("GET", "/v1/things/a/b") == Readable(1_000, 1_000)


@pytest.mark.parametrize(
    ("content", "readable"),
    [
        (("multipart/form-data",), Readable(None, 20_000)),
        (("application/json", "multipart/form-data"), Readable(1_000, 20_000)),
    ],
)
def test_a_form_has_a_limit_of_its_own_and_is_read_where_it_is_declared(
    spec: Path, content: tuple[str, ...], readable: Readable
) -> None:
    openai = openai_document()
    of_json = openai["paths"]["/things"]["post"]["requestBody"]["content"]["application/json"]
    openai["paths"]["/things"]["post"]["requestBody"]["content"] = dict.fromkeys(content, of_json)
    policy = {"operations": {"createThing": {"form": "file"}}, "body_limits": {"default": 1_000, "file": 20_000}}

    assert body_limit(merge(spec_folder(spec, openai=openai, policy=policy)))("POST", "/v1/things") == readable


def test_a_form_without_a_limit_is_refused_at_start(spec: Path) -> None:
    openai = openai_document()
    body = openai["paths"]["/things"]["post"]["requestBody"]
    body["content"] = {"multipart/form-data": body["content"]["application/json"]}

    with pytest.raises(ContractError, match="createThing"):
        merge(spec_folder(spec, openai=openai))


def test_chat_bodies_may_have_32_mebibytes_and_others_one() -> None:
    limit = body_limit(merge(resource("spec")))

    assert limit("POST", "/v1/chat/completions") == Readable(32 * 2**20)
    assert limit("POST", "/v1/embeddings") == Readable(32 * 2**20)
    assert limit("POST", "/v1/videos") is None
    assert limit("DELETE", "/v1/models/a/b") is None
    assert limit("GET", "/v1/models/a/b") == Readable(2**20)


def test_a_body_is_nobodys_just_where_its_operation_is_not_served() -> None:
    document = merge(resource("spec"))
    limit = body_limit(document)

    for operation in operations(document):
        if "?" not in operation.path:
            path = re.sub(r"\{[^}]*\}", "x-1", operation.path)
            assert (limit(operation.method.upper(), path) is None) is not operation.is_answered, operation

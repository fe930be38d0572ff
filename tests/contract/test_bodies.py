"""How large a body may be, and whose it is, told before anything is routed."""

import re
from pathlib import Path

import pytest

from llm_backend.contract.bodies import body_limit
from llm_backend.contract.documents import merge
from llm_backend.contract.operations import operations
from llm_backend.resources import resource
from tests.contract.contracts import spec_folder


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    return tmp_path / "spec"


def test_only_a_body_that_reaches_a_model_may_be_large(spec: Path) -> None:
    limit = body_limit(merge(spec_folder(spec)))

    assert limit("POST", "/v1/things") == 9_000
    assert limit("GET", "/v1/things") == 1_000
    assert limit("POST", "/nowhere") == 1_000


def test_the_body_of_what_is_not_served_is_nobodys(spec: Path) -> None:
    limit = body_limit(
        merge(spec_folder(spec, policy={"operations": {"getThing": {"fate": "not_served", "reason": "No."}}}))
    )

    assert limit("POST", "/v1/stuff") is None
    assert limit("GET", "/v1/things/a-1") is None
    assert limit("GET", "/v1/stuff") == 1_000


def test_a_limit_reaches_every_path_of_a_template(spec: Path) -> None:
    limit = body_limit(merge(spec_folder(spec, policy={"operations": {"getThing": {"body": "model"}}})))

    assert limit("GET", "/v1/things/a-1") == 9_000
    assert limit("GET", "/v1/things/a/b") == 1_000


def test_chat_bodies_may_have_32_mebibytes_and_others_one() -> None:
    limit = body_limit(merge(resource("spec")))

    assert limit("POST", "/v1/chat/completions") == 32 * 2**20
    assert limit("POST", "/v1/embeddings") == 32 * 2**20
    assert limit("POST", "/v1/files") is None
    assert limit("DELETE", "/v1/models/a/b") is None
    assert limit("GET", "/v1/models/a/b") == 2**20


def test_a_body_is_nobodys_just_where_its_operation_is_not_served() -> None:
    document = merge(resource("spec"))
    limit = body_limit(document)

    for operation in operations(document):
        if "?" not in operation.path:
            path = re.sub(r"\{[^}]*\}", "x-1", operation.path)
            assert (limit(operation.method.upper(), path) is None) is not operation.is_served, operation

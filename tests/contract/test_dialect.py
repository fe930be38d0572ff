"""What Connexion is given, and what it is spared."""

import orjson
import pytest
from connexion.spec import Specification

from llm_backend.contract.dialect import to_connexion
from llm_backend.contract.documents import merge
from llm_backend.contract.operations import operations
from llm_backend.errors import Json
from llm_backend.resources import resource


@pytest.fixture(scope="module")
def document() -> Json:
    return merge(resource("spec"))


def test_connexion_gets_every_path_but_those_told_apart_by_a_query(document: Json) -> None:
    reduced = to_connexion(document)

    assert set(reduced["paths"]) == {path for path in document["paths"] if "?" not in path}
    assert reduced["openapi"].startswith("3.0")


def test_connexion_finds_it_valid_and_without_references(document: Json) -> None:
    reduced = to_connexion(document)

    assert Specification.load(reduced).spec == reduced  # type: ignore[no-untyped-call] # Connexion has no types


def test_each_operation_keeps_its_id_and_security(document: Json) -> None:
    full = {operation.id: operation for operation in operations(document)}

    for operation in operations(to_connexion(document)):
        assert operation.fields["security"] == full[operation.id].fields["security"]
        assert (operation.path, operation.method) == (full[operation.id].path, full[operation.id].method)


def test_an_operation_that_is_not_served_has_nothing_to_validate(document: Json) -> None:
    full = {operation.id: operation for operation in operations(document)}

    for operation in operations(to_connexion(document)):
        if not full[operation.id].is_answered:
            assert "requestBody" not in operation.fields


def test_a_body_has_one_media_type_and_names_its_operation(document: Json) -> None:
    chat = to_connexion(document)["paths"]["/v1/chat/completions"]["post"]

    assert chat["requestBody"]["content"] == {"application/json": {"schema": {"x-operation": "createChatCompletion"}}}


def test_a_model_with_a_slash_stays_one_parameter(document: Json) -> None:
    (model,) = to_connexion(document)["paths"]["/v1/models/{model}"]["get"]["parameters"]

    assert model["schema"] == {"type": "string", "format": "path"}


def test_served_paths_are_tried_first_and_greedy_ones_last(document: Json) -> None:
    paths = list(to_connexion(document)["paths"])

    assert paths.index("/v1/chat/completions") < 24
    assert paths[-1] == "/v1/models/{model}"


def test_fixed_paths_are_tried_before_those_that_would_match_them_too(document: Json) -> None:
    paths = list(to_connexion(document)["paths"])

    for index, path in enumerate(paths):
        folder, _, last = path.rpartition("/")
        if not last.startswith("{"):
            greedy = [
                each for each in paths[:index] if each.startswith(folder + "/{") and each.count("/") == path.count("/")
            ]
            assert greedy == [], path


def test_what_connexion_copies_and_resolves_is_small(document: Json) -> None:
    assert len(orjson.dumps(to_connexion(document))) < 150_000

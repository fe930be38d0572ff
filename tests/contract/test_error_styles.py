from pathlib import Path

import pytest

from llm_backend.contract.documents import merge
from llm_backend.contract.error_styles import plain_roots
from llm_backend.contract.errors import ContractError
from llm_backend.errors import Json
from tests.contract.contracts import OK, spec_folder


def extension(path: str, name: str, **style: str) -> Json:
    operation = {"operationId": name, "tags": ["service"], "responses": OK}
    return {"openapi": "3.1.0", "info": {"title": "own", "version": "1"}, "paths": {path: {"get": operation}}, **style}


def roots(tmp_path: Path, **extensions: Json) -> frozenset[str]:
    return plain_roots(merge(spec_folder(tmp_path, extensions=extensions)))


def test_a_document_says_it_for_all_of_its_paths(tmp_path: Path) -> None:
    own = extension("/own/{thing}", "getOwn", **{"x-error-style": "text"})
    own["paths"]["/own/{thing}"]["get"]["parameters"] = [
        {"name": "thing", "in": "path", "required": True, "schema": {"type": "integer"}}
    ]

    assert roots(tmp_path, own=own) == {"own"}


def test_without_a_word_errors_are_openais(tmp_path: Path) -> None:
    assert roots(tmp_path, own=extension("/own", "getOwn")) == frozenset()


def test_a_style_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="does not exist"):
        roots(tmp_path, own=extension("/own", "getOwn", **{"x-error-style": "poem"}))


def test_two_styles_below_one_root_are_refused(tmp_path: Path) -> None:
    other = extension("/own/other", "getOther", **{"x-error-style": "text"})

    with pytest.raises(ContractError, match="different styles"):
        roots(tmp_path, own=extension("/own", "getOwn"), other=other)

"""One compilation for all tests: it takes seconds."""

import os
from pathlib import Path

import jsonschema_rs
import orjson
import pytest

from llm_backend.contract.compile.document import compile_package
from llm_backend.contract.compile.overlay import load
from llm_backend.contract.policy import read_yaml
from llm_backend.errors import Json
from llm_backend.resources import resource

PUBLISHED = "OPENAI_OPENAPI_FILE"


@pytest.fixture(scope="session")
def compiled() -> Json:
    """What the installed package gives."""
    return compile_package(load(resource("spec")))


@pytest.fixture(scope="session")
def document() -> Json:
    """The committed file."""
    return orjson.loads((resource("spec") / "openai.json").read_bytes())


@pytest.fixture(scope="session")
def published() -> Json:
    """OpenAI's published document, which is not part of this project."""
    beside = resource("spec").parent.parent / "shared" / "openai-openapi.yaml"
    file = Path(os.environ.get(PUBLISHED, beside))
    if PUBLISHED not in os.environ and not beside.exists():
        pytest.skip(f"{PUBLISHED} does not name OpenAI's published document")
    return read_yaml(file)


@pytest.fixture(scope="session")
def registry(document: Json) -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([("urn:openai", document)])

"""One compilation for all tests: it takes seconds."""

import os
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import orjson
import pytest

from llm_backend.contract.policy import read_yaml
from llm_backend.errors import Json
from llm_backend.resources import resource

PUBLISHED = "OPENAI_OPENAPI_FILE"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """What the installed package gives, read in a process of its own: to use the package may change its classes."""
    file = tmp_path_factory.mktemp("compiled") / "openai.json"
    program = "import sys\nfrom llm_backend.cli.spec import spec\nspec(['compile', '--out', sys.argv[1]])"
    subprocess.run([sys.executable, "-c", program, str(file)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 (our own)
    return orjson.loads(file.read_bytes())


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

"""The table of objects beside the contract."""

import re

import orjson
import pytest

from llm_backend.resources import resource
from llm_backend.upstream.echo.objects import Objects
from llm_backend.upstream.echo.objects.table import TABLE
from llm_backend.upstream.echo.operations import OPERATIONS

PATHS = orjson.loads((resource("spec") / "openai.json").read_bytes())["paths"]
ASKING = {("POST", path) for path in {**OPERATIONS, **Objects().operations}}
"""What asks a model."""


@pytest.mark.parametrize(
    "tag", ["chat", "containers", "conversations", "files", "uploads", "responses", "vector_stores"]
)
def test_every_operation_on_objects_that_are_relayed_is_answered(tag: str) -> None:
    wanted = {
        (method.upper(), re.sub(r"{[^}]*}", "{}", path.partition("?")[0]))
        for path, operations in PATHS.items()
        for method, operation in operations.items()
        if tag in operation.get("tags", [])
    }

    assert wanted <= TABLE.keys() | ASKING


def test_nothing_is_answered_that_the_contract_has_not() -> None:
    known = {(method.upper(), re.sub(r"{[^}]*}", "{}", path)) for path in PATHS for method in PATHS[path]}

    assert TABLE.keys() | ASKING <= known

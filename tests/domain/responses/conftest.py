"""What the document says of the bodies that are asked of upstreams."""

from collections.abc import Callable

import pytest

from llm_backend.contract.documents import merge
from llm_backend.contract.operations import operations
from llm_backend.contract.validation import schemas_of
from llm_backend.errors import Json
from llm_backend.resources import resource

Accepts = Callable[[str, Json], bool]


@pytest.fixture(scope="package")
def accepts() -> Accepts:
    """Whether the operation of this id takes a body."""
    document = merge(resource("spec"))
    asked = [each for each in operations(document) if each.id in ("createResponse", "createChatCompletion")]
    schemas = schemas_of(asked, document["components"]["schemas"])
    return lambda operation, body: schemas.is_valid(f"/named/{operation}", body)

"""What is looked at before an exchange begins."""

import pytest

from llm_backend.domain.exchanges import refuse_models_of_tools
from llm_backend.domain.identity import Caller
from llm_backend.domain.work import Work
from llm_backend.errors import Json, PermissionDenied


def response_with(*tools: Json) -> Work:
    """Asked for with a key that is for one model."""
    caller = Caller(1, "alice", None, models=frozenset({"cheap"}))
    return Work(caller, "req_1", "createResponse", "/responses", {"model": "cheap", "tools": list(tools)}, {}, False)


def test_a_tool_that_works_with_a_model_which_the_key_may_not_name_is_refused_by_its_place() -> None:
    with pytest.raises(PermissionDenied) as refused:
        refuse_models_of_tools(response_with({"type": "function"}, {"type": "image_generation", "model": "dear"}))

    assert (refused.value.param, refused.value.code) == ("tools[1].model", "model_not_allowed")


def test_tools_of_models_that_the_key_may_name_pass() -> None:
    refuse_models_of_tools(response_with({"type": "image_generation", "model": "cheap"}, {"type": "web_search"}, "odd"))

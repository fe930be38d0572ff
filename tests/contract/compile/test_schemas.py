"""The second pass: type hints to JSON Schema."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, Optional, Required, Union

import pytest
from openai import BaseModel
from openai._types import FileTypes, SequenceNotStr
from openai._utils import PropertyInfo
from pydantic import Field
from typing_extensions import TypedDict

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.schemas import Walker, component_name
from llm_backend.errors import Json


class Part(TypedDict, total=False):
    kind: Required[Literal["text"]]
    text: str


class Body(TypedDict, total=False):
    name: Required[str]
    size: int
    async_: Annotated[bool, PropertyInfo(alias="async")]
    parts: Iterable[Part]


class Answer(BaseModel):
    id: str
    note: str | None = None
    async_: bool | None = Field(alias="async", default=None)


def request(hint: Any) -> Json:
    return Walker("request").schema(hint)


def component(walker: Walker, kind: type) -> Json:
    name = walker.schema(kind)["$ref"].rpartition("/")[2]
    return walker.components[name]


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (str, {"type": "string"}),
        (float, {"type": "number"}),
        (object, {}),
        (datetime, {"type": "string", "format": "date-time"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (SequenceNotStr[str], {"type": "array", "items": {"type": "string"}}),
        (dict[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Optional[int], {"type": ["integer", "null"]}),  # noqa: UP045 (as the package writes it)
        (Union[str, Literal["a"]], {"type": "string", "x-known-values": ["a"]}),  # noqa: PYI051, UP007 (as above)
        (Union[str, list[str]], {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),  # noqa: UP007 (as above)
        (Union[str, datetime], {"type": "string"}),  # noqa: UP007 (as above)
        (FileTypes, {"type": "string", "format": "binary"}),
    ],
)
def test_a_hint_becomes_a_schema(hint: Any, schema: Json) -> None:
    assert request(hint) == schema


def test_a_file_hidden_in_a_union_is_still_one_binary() -> None:
    schema = request(Union[FileTypes, Part])  # noqa: UP007 (as the package writes it)

    assert schema["anyOf"][0] == {"type": "string", "format": "binary"}
    assert len(schema["anyOf"]) == 2


def test_what_a_request_may_leave_out_may_also_be_null() -> None:
    schema = component(Walker("request"), Body)

    assert schema["required"] == ["name"]
    assert schema["properties"]["name"] == {"type": "string"}
    assert schema["properties"]["size"] == {"type": ["integer", "null"]}
    assert schema["properties"]["parts"]["type"] == ["array", "null"]


def test_the_name_on_the_wire_is_the_alias() -> None:
    assert "async" in component(Walker("request"), Body)["properties"]
    assert "async" in component(Walker("answer"), Answer)["properties"]


def test_only_the_keys_that_are_sent_are_kept() -> None:
    schema = Walker("request").dictionary(Body, ["name"])

    assert schema == {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def test_an_answer_is_not_made_nullable_and_stays_open() -> None:
    schema = component(Walker("answer"), Answer)

    assert schema["required"] == ["id"]
    assert schema["properties"]["note"] == {"type": ["string", "null"]}
    assert "additionalProperties" not in schema


def test_a_component_is_named_by_module_and_class_and_a_side() -> None:
    class Thing: ...

    Thing.__module__ = "openai.types.chat.thing_param"
    assert component_name(Thing) == "chat.thing_param.Thing"
    Thing.__module__ = "openai.types.chat.thing"
    assert component_name(Thing) == "chat.Thing"
    assert request(Part)["$ref"].startswith("#/components/schemas/request.")


def test_two_classes_of_one_name_stop_the_build() -> None:
    class Other(TypedDict, total=False):
        a: str

    Other.__module__, Other.__name__ = Part.__module__, Part.__name__
    walker = Walker("request")
    walker.schema(Part)

    with pytest.raises(CompileError, match="two classes would be the component"):
        walker.schema(Other)


@pytest.mark.parametrize("hint", [set[str], tuple[int, str], complex, Literal["a", 1], dict[int, str]])
def test_a_hint_of_unknown_kind_stops_the_build(hint: Any) -> None:
    with pytest.raises(CompileError):
        request(hint)

"""Equal components become one."""

import pytest

from llm_backend.contract.compile import CompileError
from llm_backend.contract.compile.merging import merge_equal, reachable
from llm_backend.errors import Json


def to(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def test_equal_components_are_merged_until_no_two_are_equal() -> None:
    components = {
        "request.A": {"type": "string"},
        "request.Longer": {"type": "string"},
        "request.HasA": {"items": to("request.A")},
        "request.HasLonger": {"items": to("request.Longer")},
    }

    merged, paths = merge_equal(components, {"/a": to("request.HasLonger")})

    assert set(merged) == {"request.A", "request.HasA"}
    assert paths == {"/a": to("request.HasA")}


def test_requests_and_answers_are_never_merged() -> None:
    components = {"request.A": {"type": "string"}, "answer.A": {"type": "string"}}

    merged, _ = merge_equal(components, {})

    assert set(merged) == {"request.A", "answer.A"}


def test_a_class_gives_the_name_and_an_operation_only_where_there_is_none() -> None:
    components = {"request.createA": {"type": "object"}, "request.things.LongName": {"type": "object"}}

    merged, _ = merge_equal(components, {})

    assert set(merged) == {"request.things.LongName"}


def test_what_nothing_refers_to_is_left_out() -> None:
    components = {"request.A": {"items": to("request.B")}, "request.B": {}, "request.C": {}}

    assert set(reachable({"/a": to("request.A")}, components)) == {"request.A", "request.B"}


def test_a_reference_to_nothing_stops_the_build() -> None:
    with pytest.raises(CompileError, match=r"request\.Missing"):
        reachable(to("request.Missing"), {})

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.domain.naming import Look, Named, Naming, made
from llm_backend.errors import Json

NAMING = Naming(
    ids={"file_id": "files", "file_ids": "files", "conversation": "conversations"},
    holders={"prompt": "prompts"},
    types={"item_reference": "items"},
    opaque=frozenset({"metadata"}),
)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"file_id": "f-1"}, [Named("file_id", "files", "f-1")]),
        ({"file_id": None, "n": 1, "text": "file_id"}, []),
        ({"file_ids": ["f-1", "f-2"]}, [Named("file_ids[0]", "files", "f-1"), Named("file_ids[1]", "files", "f-2")]),
        ({"a": [{"b": {"file_id": 5}}]}, [Named("a[0].b.file_id", "files", "5")]),
        ({"conversation": "c-1"}, [Named("conversation", "conversations", "c-1")]),
        ({"conversation": {"id": "c-1"}}, [Named("conversation.id", "conversations", "c-1")]),
        ({"prompt": "Say hello"}, []),
        ({"prompt": ["Say", "hello"]}, []),
        ({"prompt": {"id": "p-1"}}, [Named("prompt.id", "prompts", "p-1")]),
        ({"input": [{"type": "item_reference", "id": "i-1"}]}, [Named("input[0].id", "items", "i-1")]),
        ({"input": [{"type": "message", "id": "i-1"}, {"type": ["item_reference"], "id": "i-1"}]}, []),
        ({"input": [{"id": "i-1"}, {"type": "item_reference", "id": None}]}, []),
        ({"metadata": {"file_id": "f-1"}}, []),
        ([{"file_id": "f-1"}], [Named("[0].file_id", "files", "f-1")]),
        ("file_id", []),
    ],
)
def test_what_a_body_names_is_found_wherever_it_stands(body: Json, found: list[Named]) -> None:
    assert list(NAMING.found(body)) == found


WORDS = ["file_id", "file_ids", "prompt", "input", "metadata", "id", "type", "item_reference", "content", "x"]
BODIES = st.recursive(
    st.sampled_from([*WORDS, None, 5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=8,
)


@given(BODIES)
def test_where_a_look_sees_nothing_nothing_is_named(body: Json) -> None:
    assert Look(NAMING).sees(body) or not list(NAMING.found(body))


@pytest.mark.parametrize(
    "body", [{"prompt": "Say file_id"}, {"messages": [{"content": '"file_id"'}]}, {"n": 1}, None, "a"]
)
def test_a_look_sees_nothing_in_the_words_of_a_body(body: Json) -> None:
    assert not Look(NAMING).sees(body)


def test_what_an_answer_made_is_found_where_it_is_told() -> None:
    answer = {
        "id": "resp_1",
        "output": [{"id": "msg_1"}, {"id": "ci_1", "container_id": "cntr_1"}, "odd"],
        "file": None,
    }
    places = {"id": "responses", "output[].id": "items", "output[].container_id": "containers", "file.id": "files"}

    assert list(made(answer, places)) == [
        ("responses", "resp_1"),
        ("items", "msg_1"),
        ("items", "ci_1"),
        ("containers", "cntr_1"),
    ]


@pytest.mark.parametrize("odd", ["", "a/b", "ä", "a" * 65, 5, None, ["a"]])
def test_what_can_be_no_id_is_none(odd: Json) -> None:
    assert list(made({"id": odd}, {"id": "files"})) == []

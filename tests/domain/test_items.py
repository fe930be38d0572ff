"""Items as a model is asked with them."""

import pytest

from llm_backend.domain.items import asked, given, new_id


def test_ids_begin_as_openais_do() -> None:
    ids = [new_id(kind) for kind in ("message", "reasoning", "mcp_list_tools", "hologram")]

    assert [each.partition("_")[0] for each in ids] == ["msg", "rs", "mcpl", "item"]


@pytest.mark.parametrize("kind", ["reasoning", "compaction"])
def test_what_is_sealed_goes_back_by_the_name_it_was_given_with_or_by_none(kind: str) -> None:
    named, unnamed = given(
        [
            {"type": kind, "id": "rs_68f0c0ffee", "summary": [], "encrypted_content": "sealed"},
            {"type": kind, "summary": [], "encrypted_content": "sealed"},
        ]
    )

    assert unnamed["id"]
    assert asked(named) == named
    assert asked(unnamed) == {name: value for name, value in unnamed.items() if name != "id"}


def test_a_thought_that_is_not_sealed_keeps_its_name() -> None:
    (thought,) = given([{"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}])

    assert asked(thought) == thought


def test_calls_and_what_others_say_have_no_name_and_the_models_words_have_theirs() -> None:
    call, question, answer = given(
        [
            {"type": "function_call", "call_id": "call_1", "name": "add", "arguments": "{}"},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hi"},
        ]
    )

    assert ["id" in asked(item) for item in (call, question, answer)] == [False, False, True]

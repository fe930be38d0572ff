"""What a model is sent of a chat."""

import pytest

from llm_backend.domain.histories import (
    ANSWER_TOKENS,
    UNSAID,
    Continuation,
    Form,
    Line,
    Messages,
    Sizes,
    Turn,
    size_tokens,
    turns,
)

UNKNOWN = Sizes(None, None)
TEXT = Continuation({"system": "To do: ", "user": "Q: ", "assistant": "A: "})
NEW: Turn = (Line("user", "and now?"),)


def turn(number: int) -> Turn:
    return Line("system", f"be {number}"), Line("user", f"ask {number}"), Line("assistant", f"say {number}")


BEFORE = [turn(number) for number in range(5)]


def test_a_history_is_cut_behind_each_answer() -> None:
    left_open = (Line("user", "anyone?"),)
    lines = [line for each in (*BEFORE, left_open) for line in each]

    assert turns(lines) == [*BEFORE, left_open]
    assert turns([]) == []


@pytest.mark.parametrize("form", [Messages(), TEXT])
def test_where_the_context_is_not_known_everything_is_sent(form: Form) -> None:
    assert form.fitting(BEFORE, NEW, None, UNKNOWN) == [line for each in (*BEFORE, NEW) for line in each]


@pytest.mark.parametrize("form", [Messages(), TEXT])
@pytest.mark.parametrize("kept", range(6))
def test_the_oldest_turns_go_first_and_go_whole(form: Form, kept: int) -> None:
    expected = [line for each in (*BEFORE[5 - kept :], NEW) for line in each]
    needed = sum(map(form.size_tokens, expected)) + form.ending_tokens

    exactly = form.fitting(BEFORE, NEW, 100, Sizes(needed + 100, None))
    one_less = form.fitting(BEFORE, NEW, 100, Sizes(needed + 99, None))

    assert exactly == expected
    assert len(one_less) == (len(expected) - 3 if kept else 1)


@pytest.mark.parametrize("form", [Messages(), TEXT])
def test_the_new_question_is_sent_whatever_its_size(form: Form) -> None:
    assert form.fitting(BEFORE, NEW, None, Sizes(1, None)) == list(NEW)


def test_room_for_the_answer_is_a_quarter_of_the_context_or_less_where_the_model_says_less() -> None:
    size = sum(size_tokens(line.content) for each in (*BEFORE, NEW) for line in each)

    assert len(Messages().fitting(BEFORE, NEW, None, Sizes(size + 10, 10))) == 16
    assert len(Messages().fitting(BEFORE, NEW, None, Sizes(size + 10, None))) == 10


def test_a_text_bears_the_prefix_of_each_role_and_ends_in_the_models_turn() -> None:
    body = TEXT.body([*turn(1), *NEW], UNSAID, UNKNOWN)

    assert body["prompt"] == "To do: be 1\nQ: ask 1\nA: say 1\nQ: and now?\nA: "


@pytest.mark.parametrize(
    ("sizes", "sent"),
    [
        (UNKNOWN, ANSWER_TOKENS),
        (Sizes(None, 500), 500),
        (Sizes(4096, None), 4096 - size_tokens("Q: and now?") - size_tokens("A: ")),
        (Sizes(4096, 700), 700),
        (Sizes(10, None), 1),
    ],
)
def test_a_text_without_a_limit_is_given_what_is_left_of_the_context(sizes: Sizes, sent: int) -> None:
    assert TEXT.body(NEW, UNSAID, sizes)["max_tokens"] == sent


def test_what_every_upstream_takes_for_granted_is_not_said() -> None:
    usual = {"temperature": 0.7, **UNSAID}

    assert set(Messages().body(NEW, usual, UNKNOWN)) == {"messages", "temperature"}
    assert set(TEXT.body(NEW, usual, UNKNOWN)) == {"prompt", "temperature", "max_tokens"}


def test_what_differs_is_said_and_best_of_only_of_a_text() -> None:
    given = {"temperature": 0, "top_p": 0.5, "max_tokens": 7, "presence_penalty": 1, "frequency_penalty": -1}

    chatted = Messages().body(NEW, given | {"best_of": 2}, UNKNOWN)
    continued = TEXT.body(NEW, given | {"best_of": 2}, UNKNOWN)

    assert chatted == {"messages": [{"role": "user", "content": "and now?"}]} | given
    assert continued == {"prompt": "Q: and now?\nA: "} | given | {"best_of": 2}


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ([{"message": {"content": "yes"}}, {"message": {"content": "no"}}], "yes"),
        ([{"message": {"content": None, "refusal": "I will not."}}], "I will not."),
        ([{"message": {"content": [{"type": "text"}]}}], ""),
        ([{"message": None}], ""),
        ([7], ""),
        ([], ""),
    ],
)
def test_the_text_of_an_answer_is_found_or_empty(choices: list[object], said: str) -> None:
    assert Messages().said({"choices": choices}) == said


def test_the_text_of_a_continuation_is_its_own() -> None:
    assert TEXT.said({"choices": [{"text": " yes"}]}) == " yes"
    assert TEXT.said({"choices": []}) == ""

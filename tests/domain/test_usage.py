"""What an upstream reports, believed or not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_backend.domain.usage import Usage
from llm_backend.domain.usage_reports import MOST_TOKENS
from llm_backend.errors import Json

KINDS = ("cached_tokens", "audio_tokens", "image_tokens")


def report(prompt: int, completion: int, given: dict[str, Json], made: dict[str, Json], **others: Json) -> Json:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": given,
        "completion_tokens_details": made,
        **others,
    }


def read(raw: Json) -> Usage:
    usage = Usage.reported(raw)
    assert usage is not None
    return usage


def test_every_kind_is_a_part_of_its_side() -> None:
    raw = report(
        100,
        50,
        {"cached_tokens": 40, "audio_tokens": 30, "image_tokens": 20},
        {"reasoning_tokens": 5, "audio_tokens": 6},
    )

    assert read(raw) == Usage(
        100,
        50,
        cached_tokens=40,
        reasoning_tokens=5,
        audio_prompt_tokens=30,
        audio_completion_tokens=6,
        image_prompt_tokens=20,
        raw=raw,
    )


def test_kinds_that_overlap_are_cut_and_what_is_cheapest_gives_way() -> None:
    usage = read(
        report(100, 50, {"cached_tokens": 80, "audio_tokens": 30}, {"reasoning_tokens": 500, "audio_tokens": 20})
    )

    assert (usage.cached_tokens, usage.audio_prompt_tokens) == (70, 30)
    assert (usage.reasoning_tokens, usage.audio_completion_tokens) == (30, 20)
    assert usage.is_inconsistent


def test_what_only_the_total_has_was_made_too() -> None:
    usage = read(report(100, 50, {}, {"reasoning_tokens": 200}, total_tokens=350))

    assert (usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens) == (100, 250, 200)
    assert usage.is_inconsistent


def test_a_total_that_is_too_small_takes_nothing_away() -> None:
    usage = read(report(100, 50, {}, {}, total_tokens=20))

    assert (usage.prompt_tokens, usage.completion_tokens, usage.is_inconsistent) == (100, 50, True)


COUNTS = st.one_of(st.none(), st.integers(-10, 300), st.just("many"), st.floats())


@settings(deadline=None)
@given(
    st.integers(0, 200),
    st.integers(0, 200),
    st.fixed_dictionaries({}, optional=dict.fromkeys(KINDS, COUNTS)) | st.just([]),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("reasoning_tokens", "audio_tokens"), COUNTS)) | st.none(),
    COUNTS,
)
def test_whatever_is_reported_kinds_never_pass_their_side(
    prompt: int, completion: int, given: dict[str, Json], made: dict[str, Json], total: Json
) -> None:
    usage = read(report(prompt, completion, given, made, total_tokens=total))

    assert usage.cached_tokens + usage.audio_prompt_tokens + usage.image_prompt_tokens <= usage.prompt_tokens
    assert usage.reasoning_tokens + usage.audio_completion_tokens <= usage.completion_tokens
    assert (usage.prompt_tokens, min(usage.completion_tokens, completion)) == (prompt, completion)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "12",
        {},
        {"prompt_tokens": None, "completion_tokens": 3},
        {"prompt_tokens": -1, "completion_tokens": 3},
        {"prompt_tokens": 1.5, "completion_tokens": 3},
        {"prompt_tokens": True, "completion_tokens": 3},
        {"prompt_tokens": 1, "completion_tokens": MOST_TOKENS},
        {"prompt_tokens": 1, "completion_tokens": "3"},
        {"input_tokens": 1},
        {"type": "duration"},
        {"type": "duration", "seconds": -0.5},
        {"type": "duration", "seconds": float("nan")},
        {"type": "duration", "seconds": float("inf")},
        {"type": "duration", "seconds": True},
    ],
)
def test_a_usage_that_cannot_be_true_counts_as_missing(raw: Json) -> None:
    assert Usage.reported(raw) is None


def test_a_usage_of_zeros_is_a_report() -> None:
    assert Usage.reported({"prompt_tokens": 0, "completion_tokens": 0}) is not None


def test_embeddings_report_no_completion() -> None:
    usage = Usage.reported({"prompt_tokens": 7, "total_tokens": 7})

    assert usage is not None
    assert usage.completion_tokens == 0


@pytest.mark.parametrize("group", ["input_tokens_details", "input_token_details"])
def test_answers_pictures_and_sounds_are_reported_under_other_names(group: str) -> None:
    raw = {
        "type": "tokens",
        "input_tokens": 100,
        group: {"text_tokens": 10, "image_tokens": 40, "audio_tokens": 30, "cached_tokens": 20},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 6, "image_tokens": 39},
        "total_tokens": 150,
    }

    assert read(raw) == Usage(
        100,
        50,
        cached_tokens=20,
        reasoning_tokens=5,
        audio_prompt_tokens=30,
        audio_completion_tokens=6,
        image_prompt_tokens=40,
        raw=raw,
    )


@pytest.mark.parametrize(("told", "seconds"), [(0, 0), (12, 12), (12.01, 13)])
def test_a_started_second_counts(told: float, seconds: int) -> None:
    usage = read({"type": "duration", "seconds": told})

    assert (usage.seconds, usage.is_without_tokens) == (seconds, True)


def test_a_report_of_both_is_read_as_both() -> None:
    usage = read({"type": "duration", "seconds": 12, "input_tokens": 300, "output_tokens": 80})

    assert (usage.seconds, usage.prompt_tokens, usage.is_without_tokens) == (12, 300, False)


def test_what_a_report_does_not_speak_of_is_as_it_was_guessed() -> None:
    guessed = Usage(400, 90, seconds=15, characters=7, audio_prompt_tokens=400)
    timed, counted = {"type": "duration", "seconds": 12.5}, {"input_tokens": 300, "output_tokens": 80}

    assert read(timed).completed(guessed) == Usage(
        400, 90, seconds=13, characters=7, audio_prompt_tokens=400, raw=timed
    )
    assert read(counted).completed(guessed) == Usage(300, 80, seconds=15, characters=7, raw=counted)


@pytest.mark.parametrize(
    ("guessed", "is_far"),
    [
        (Usage(400, 10), True),
        (Usage(10, 400), True),
        (Usage(200, 10), False),
        (Usage(4_050, 10, image_prompt_tokens=4_000), False),
        (Usage(50, 400, audio_completion_tokens=390), False),
        (Usage(50, 6_240, images=1), False),
    ],
)
def test_a_report_is_held_against_texts_alone(guessed: Usage, *, is_far: bool) -> None:
    assert Usage(60, 50).is_far_below(guessed) == is_far

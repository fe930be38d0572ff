"""What pictures, speech and sounds may use at most, and what they are likely to have used."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_backend.domain.bounds import TOKENS_AROUND, Sizes
from llm_backend.domain.media_bounds import (
    hearing_bound,
    hearing_likely,
    pictures_bound,
    pictures_likely,
    speech_bound,
    speech_likely,
)
from llm_backend.domain.sounds import Sound
from llm_backend.domain.usage import Usage
from llm_backend.domain.usage_reports import MOST_TOKENS
from llm_backend.errors import Json

SIZES = Sizes(image_tokens=700, made_image_tokens=1_000, audio_tokens_per_minute=600)
PROMPT = TOKENS_AROUND + len("Ein Fuß")


@pytest.mark.parametrize(
    ("body", "prompt", "made", "images"),
    [
        ({}, 0, 1_000, 1),
        ({"n": 3}, 0, 3_000, 3),
        ({"n": 2, "partial_images": 3}, 0, 2_600, 2),
        ({"n": 2, "frame_count": 4}, 0, 8_000, 2),
        ({"frame_count": 1e300}, 0, 1_000 * MOST_TOKENS, 1),
        # Where an operation does not know the field, it may be anything.
        ({"partial_images": "abc", "frame_count": [1]}, 40, 1_000, 1),
        ({"image": "a.png"}, 1_700, 1_000, 1),
        ({"image": ["a.png", "b.png"], "mask": "m.png", "input_fidelity": "low"}, 2_100 + 16 + 5, 1_000, 1),
        ({"images": [{"image_url": "data:image/png;base64," + "A" * 90_000}]}, 1_700, 1_000, 1),
    ],
)
def test_pictures_count_what_the_model_counts_for_each(body: Json, prompt: int, made: int, images: int) -> None:
    whole = {"prompt": "Ein Fuß", **body}

    assert pictures_bound(whole, SIZES) == Usage(PROMPT + 1 + prompt, made, images=images)
    assert pictures_bound(whole, SIZES, markup_bytes=50).prompt_tokens == PROMPT + 1 + prompt + 50


def test_pictures_that_were_made_are_paid_as_far_as_they_were_asked_for() -> None:
    body = {"prompt": "A foot", "n": 2, "image": "a.png"}

    assert pictures_likely(4, body, 1, SIZES) == Usage(704, 1_000, image_prompt_tokens=700, images=1)
    assert pictures_likely(4, body, 9, SIZES).images == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("A word, two.", 3),
        ("Füße", 1),
        ("слово", 1),
        ("1984", 4),
        ("一二三", 3),
        ("50 % 🎉", 5),
    ],
)
def test_a_letter_takes_a_fifth_of_a_second_and_a_digit_or_a_syllable_one(text: str, seconds: int) -> None:
    bound = speech_bound({"input": text, "model": "tts-1"}, SIZES)

    assert (bound.completion_tokens, bound.characters) == (seconds * 10, len(text))
    assert bound.prompt_tokens >= len(text.encode())


@pytest.mark.parametrize(("speed", "seconds"), [(0.25, 40), (0.01, 40), (2, 5), (None, 10), (100, 3)])
def test_speech_is_as_long_as_its_speed_has_it(speed: float | None, seconds: int) -> None:
    assert speech_bound({"input": "a" * 50, "speed": speed}, SIZES).completion_tokens == seconds * 10


@settings(deadline=None)
@given(st.text(max_size=60), st.none() | st.floats(0.25, 4))
def test_what_is_likely_of_speech_never_passes_its_bound(text: str, speed: float | None) -> None:
    body = {"input": text, "speed": speed}

    likely, most = speech_likely(0, body, SIZES), speech_bound(body, SIZES)

    assert likely.completion_tokens == likely.audio_completion_tokens <= most.completion_tokens
    assert likely.characters == most.characters


def test_a_sound_counts_by_its_seconds_and_so_does_what_may_be_written_of_it() -> None:
    body = {"model": "whisper-1", "file": "a-name-that-nobody-reads.mp3", "prompt": "Hm"}
    minute = Sound(60_000)

    assert hearing_bound(body, minute, SIZES) == Usage(TOKENS_AROUND + 2 + 600, 15 * 90, seconds=60)
    voices = {**body, "known_speaker_references": ["data:audio/wav;base64," + "A" * 90_000] * 2}
    assert hearing_bound(voices, minute, SIZES).prompt_tokens == TOKENS_AROUND + 2 + 600 + 2 * 100


def test_a_sound_is_charged_by_the_seconds_that_were_heard() -> None:
    assert hearing_likely(3, 40, 7, SIZES) == Usage(73, 40, audio_prompt_tokens=70, seconds=7)

"""What pictures, speech and sounds may use at most, for reserving, and what they are likely to have used.

The likely is charged where the upstream does not say.
"""

from llm_backend.domain.bounds import Sizes, choices, is_whole, prompt_bound
from llm_backend.domain.sounds import Sound
from llm_backend.domain.usage import Usage
from llm_backend.domain.usage_reports import MOST_TOKENS
from llm_backend.errors import Json

PICTURES = ("image", "images", "mask")
"""Fields that hold pictures, or their names."""
PARTIAL_TOKENS = 100
"""What each unfinished picture counts that is shown on the way."""

LETTERS_PER_SECOND = 5
"""Of slow speech: a third of the usual."""
USUAL_CHARACTERS_PER_SECOND = 15
LAST_LETTER = "\u10ff"
"""Where the alphabets end. A sign beyond is a syllable or more, as is a digit: none takes longer than a second."""
PAUSES = frozenset(" \t\r\n.,;:!?'\"()-")
SLOWEST, FASTEST = 0.25, 4.0

TEXT_TOKENS_PER_SECOND = 15
"""Whisper writes at most 448 for each half minute; nobody speaks as fast."""
WINDOW_SECONDS = 30
"""The end of a sound is heard as if it were as long."""
REFERENCE_SECONDS = 10
"""The longest sample of a speaker's voice."""


def pictures_bound(body: Json, sizes: Sizes, markup_bytes: int = 0) -> Usage:
    """Of pictures made, by a prompt or from others; `markup_bytes`: of a file beside them that is read as text.

    What a picture counts that is shown, and one that is made, is configured for each model. One that is looked at
    closely, as some models do with all, counts as much besides as one that is made.
    """
    text = {name: value for name, value in body.items() if name not in PICTURES}
    closely = 0 if body.get("input_fidelity") == "low" else sizes.made_image_tokens
    frames, partial = max(1, _number(body, "frame_count")), max(0, _number(body, "partial_images"))
    return Usage(
        prompt_bound(text, sizes) + markup_bytes + _shown(body) * (sizes.image_tokens + closely),
        choices(body) * (frames * sizes.made_image_tokens + partial * PARTIAL_TOKENS),
        images=choices(body),
    )


def pictures_likely(prompt_tokens: int, body: Json, made: int, sizes: Sizes) -> Usage:
    """Of so many pictures that were `made`; `prompt_tokens`: what the text of the prompt is likely to have.

    More than were asked for are not paid.
    """
    shown, made = _shown(body) * sizes.image_tokens, min(made, choices(body))
    return Usage(prompt_tokens + shown, made * sizes.made_image_tokens, image_prompt_tokens=shown, images=made)


def speech_bound(body: Json, sizes: Sizes) -> Usage:
    """Of a text that is spoken, as slowly as anyone does."""
    text = body["input"]
    letters = sum(sign in PAUSES or (sign <= LAST_LETTER and sign.isalpha()) for sign in text)
    seconds = letters / LETTERS_PER_SECOND + len(text) - letters
    return Usage(prompt_bound(body, sizes), sizes.sound(_spoken(seconds, body)), characters=len(text))


def speech_likely(prompt_tokens: int, body: Json, sizes: Sizes) -> Usage:
    """Of a text that is spoken; `prompt_tokens`: what it is likely to have itself.

    All of it, however little was received: it is sold by what is sent.
    """
    text = body["input"]
    spoken = sizes.sound(_spoken(len(text) / USUAL_CHARACTERS_PER_SECOND, body))
    return Usage(prompt_tokens, spoken, audio_completion_tokens=spoken, characters=len(text))


def hearing_bound(body: Json, sound: Sound, sizes: Sizes) -> Usage:
    """Of a sound that is written down, with the samples of voices beside it."""
    seconds = sound.most_seconds
    voices = body.get("known_speaker_references") or ()
    text = {name: value for name, value in body.items() if name not in {"file", "known_speaker_references"}}
    heard = sizes.sound(seconds) + len(voices) * sizes.sound(REFERENCE_SECONDS)
    written = TEXT_TOKENS_PER_SECOND * (seconds + WINDOW_SECONDS)
    return Usage(prompt_bound(text, sizes) + heard, written, seconds=seconds)


def hearing_likely(prompt_tokens: int, written_tokens: int, seconds: int, sizes: Sizes) -> Usage:
    """Of so many seconds of sound; the tokens are those that the text beside it and its answer are likely to have."""
    heard = sizes.sound(seconds)
    return Usage(prompt_tokens + heard, written_tokens, audio_prompt_tokens=heard, seconds=seconds)


def _shown(body: Json) -> int:
    """How many pictures are shown."""
    given = [body[name] for name in PICTURES if body.get(name) is not None]
    return sum(len(each) if isinstance(each, list) else 1 for each in given)


def _spoken(seconds: float, body: Json) -> int:
    """So many seconds, at the speed that is asked for."""
    speed = min(FASTEST, max(SLOWEST, body.get("speed") or 1.0))
    return -int(-seconds // speed)


def _number(body: Json, name: str) -> int:
    """A field that not every operation checks: 0 where it is no number, and no more than there can be."""
    value = body.get(name)
    return int(min(value, MOST_TOKENS)) if is_whole(value) else 0

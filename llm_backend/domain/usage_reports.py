"""Reading what an upstream says it used: OpenAI's shapes of a `usage`, and what others make of them."""

from math import ceil
from typing import TypeGuard

from llm_backend.errors import Json

MOST_TOKENS = 2**32
"""No answer uses more; a larger number is a fault of the upstream, not a bill."""

PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details", "output_token_details")
"""What chats, answers and pictures, and sounds call the kinds of each side."""

WITHOUT_TOKENS: dict[str, Json] = {"prompt_tokens": 0, "completion_tokens": 0, "is_without_tokens": True}


def read(raw: Json) -> dict[str, Json] | None:
    """The fields of a `Usage` by a report; None where it is missing or no usage can be read from it.

    Zeros are a report.
    """
    if not isinstance(raw, dict):
        return None
    counted, seconds = _counted(raw), _seconds(raw)
    if seconds is None:
        return counted
    return {**(counted or WITHOUT_TOKENS), "seconds": seconds}


def _counted(raw: dict[str, Json]) -> dict[str, Json] | None:
    prompt, completion = _told(raw, "prompt_tokens", "input_tokens"), _told(raw, "completion_tokens", "output_tokens")
    total = raw.get("total_tokens")
    if completion is None and total == prompt:
        # Embeddings complete nothing, and their usage says nothing of it.
        completion = 0
    if not (is_count(prompt) and is_count(completion)):
        return None
    return _disjoint(raw, prompt, completion, total if is_count(total) else prompt + completion)


def _seconds(raw: dict[str, Json]) -> int | None:
    """The length of a sound, where it is that what is reported: a started second counts."""
    told: Json = raw.get("seconds") if raw.get("type") == "duration" else None
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    return ceil(told) if is_number and 0 <= told < MOST_TOKENS else None


def _disjoint(raw: dict[str, Json], prompt: int, completion: int, total: int) -> dict[str, Json]:
    """The report with kinds that do not overlap: where they do, what is cheapest gives way."""
    # Some upstreams leave what was thought out of the completion, and have it in the total alone.
    made = max(completion, total - prompt)
    told_in = _details(raw, PROMPT_DETAILS, "audio_tokens", "image_tokens", "cached_tokens")
    told_out = _details(raw, COMPLETION_DETAILS, "audio_tokens", "reasoning_tokens")
    audio, image, cached = fitted_in = _fitted(prompt, told_in)
    spoken, reasoning = fitted_out = _fitted(made, told_out)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": made,
        "cached_tokens": cached,
        "reasoning_tokens": reasoning,
        "audio_prompt_tokens": audio,
        "audio_completion_tokens": spoken,
        "image_prompt_tokens": image,
        "is_inconsistent": total != prompt + completion or fitted_in + fitted_out != told_in + told_out,
    }


def _told(raw: dict[str, Json], *names: str) -> Json:
    """The first of `names` that is said."""
    for name in names:
        if (value := raw.get(name)) is not None:
            return value
    return None


def is_count(value: Json) -> TypeGuard[int]:
    """Whether it can be a number of tokens."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS


def _details(raw: dict[str, Json], groups: tuple[str, ...], *names: str) -> list[int]:
    """The counts of these kinds; 0 where one is missing or is none."""
    details = _told(raw, *groups)
    if not isinstance(details, dict):
        return [0] * len(names)
    return [value if is_count(value := details.get(name)) else 0 for name in names]


def _fitted(whole: int, counts: list[int]) -> list[int]:
    """`counts`, each cut to what those before it leave of `whole`."""
    if not any(counts):
        return counts
    fitted = []
    for count in counts:
        fitted.append(min(count, whole))
        whole -= fitted[-1]
    return fitted

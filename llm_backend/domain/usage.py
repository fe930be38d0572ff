"""What an answer used, in tokens, and what that costs."""

from dataclasses import dataclass
from typing import Literal, TypeGuard

from llm_backend.errors import Json

Basis = Literal["reported", "estimated", "void"]
"""Where a record's numbers come from: the upstream's own report, our count, or nothing was used."""

MOST_TOKENS = 2**40
"""No answer uses more; a larger number is a fault of the upstream, not a bill."""

FAR_BELOW = 4
"""A report of less than a quarter of the estimate is flagged: no tokenizer is that good."""

TELLING_TOKENS = 64
"""Estimates below are too rough to hold a report against."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. Cached are among the prompt's, reasoning among the completion's."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    raw: Json = None
    """The `usage` object as the upstream sent it."""

    def is_far_below(self, guessed: "Usage") -> bool:
        """Whether this is so little, beside what was sent and received, that it is likely to be wrong."""
        pairs = (
            (self.prompt_tokens, guessed.prompt_tokens),
            (self.completion_tokens, guessed.completion_tokens),
        )
        return any(likely >= TELLING_TOKENS and told * FAR_BELOW < likely for told, likely in pairs)

    @classmethod
    def reported(cls, raw: Json) -> "Usage | None":
        """The upstream's `usage`; None where it is missing or no usage can be read from it. Zeros are a report."""
        if not isinstance(raw, dict):
            return None
        prompt, completion = raw.get("prompt_tokens"), raw.get("completion_tokens")
        if completion is None and raw.get("total_tokens") == prompt:
            # Embeddings complete nothing, and their usage says nothing of it.
            completion = 0
        if not (_is_count(prompt) and _is_count(completion)):
            return None
        return cls(
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=min(prompt, _detail(raw, "prompt_tokens_details", "cached_tokens")),
            reasoning_tokens=min(completion, _detail(raw, "completion_tokens_details", "reasoning_tokens")),
            raw=raw,
        )


NOTHING_USED = Usage(0, 0)


@dataclass(frozen=True, slots=True)
class Price:
    """A model's price, in micro-dollars per million tokens."""

    input_microusd: int
    cached_input_microusd: int
    output_microusd: int

    def of(self, usage: Usage) -> int:
        """Micro-dollars for `usage`, rounded up once: a started micro-dollar is owed."""
        millionths = (
            (usage.prompt_tokens - usage.cached_tokens) * self.input_microusd
            + usage.cached_tokens * self.cached_input_microusd
            + usage.completion_tokens * self.output_microusd
        )
        return -(-millionths // 1_000_000)


def _is_count(value: Json) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS


def _detail(raw: Json, group: str, name: str) -> int:
    details = raw.get(group)
    value = details.get(name) if isinstance(details, dict) else None
    return value if _is_count(value) else 0

"""What an answer used, in tokens of each kind, and what that costs."""

from dataclasses import asdict, dataclass
from typing import Literal, TypeGuard

from llm_backend.errors import Json

Basis = Literal["reported", "estimated", "crash", "void"]
"""Where a record's numbers come from: the upstream's report, our count, what was seen before a crash, or nothing."""

MOST_TOKENS = 2**32
"""No answer uses more; a larger number is a fault of the upstream, not a bill."""

FAR_BELOW = 4
"""A report of less than a quarter of the estimate is flagged: no tokenizer is that good."""

TELLING_TOKENS = 64
"""Estimates below are too rough to hold a report against."""


MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer. The kinds among the prompt's, and those among the completion's, never overlap."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    audio_prompt_tokens: int = 0
    audio_completion_tokens: int = 0
    image_prompt_tokens: int = 0
    raw: Json = None
    """The `usage` object as the upstream sent it."""
    is_inconsistent: bool = False
    """Whether the numbers of the report did not fit together, and were made to."""

    @property
    def text_prompt_tokens(self) -> int:
        """Tokens of the text that was sent, cached or not."""
        return self.prompt_tokens - self.audio_prompt_tokens - self.image_prompt_tokens

    @property
    def text_completion_tokens(self) -> int:
        """Tokens of the text that was sent back: what was thought on the way is not in it."""
        return self.completion_tokens - self.audio_completion_tokens - self.reasoning_tokens

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
        total = raw.get("total_tokens")
        if completion is None and total == prompt:
            # Embeddings complete nothing, and their usage says nothing of it.
            completion = 0
        if not (_is_count(prompt) and _is_count(completion)):
            return None
        return cls._disjoint(raw, prompt, completion, total if _is_count(total) else prompt + completion)

    @classmethod
    def _disjoint(cls, raw: Json, prompt: int, completion: int, total: int) -> "Usage":
        """The report with kinds that do not overlap: where they do, what is cheapest gives way."""
        # Some upstreams leave what was thought out of the completion, and have it in the total alone.
        made = max(completion, total - prompt)
        told_in = _details(raw, "prompt_tokens_details", "audio_tokens", "image_tokens", "cached_tokens")
        told_out = _details(raw, "completion_tokens_details", "audio_tokens", "reasoning_tokens")
        audio, image, cached = fitted_in = _fitted(prompt, told_in)
        spoken, reasoning = fitted_out = _fitted(made, told_out)
        return cls(
            prompt_tokens=prompt,
            completion_tokens=made,
            cached_tokens=cached,
            reasoning_tokens=reasoning,
            audio_prompt_tokens=audio,
            audio_completion_tokens=spoken,
            image_prompt_tokens=image,
            raw=raw,
            is_inconsistent=total != prompt + completion or fitted_in + fitted_out != told_in + told_out,
        )


NOTHING_USED = Usage(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A model's price, in micro-dollars per million tokens. A kind without one costs what its side does."""

    input_microusd: int = 0
    output_microusd: int = 0
    cached_input_microusd: int | None = None
    audio_input_microusd: int | None = None
    image_input_microusd: int | None = None
    reasoning_microusd: int | None = None
    audio_output_microusd: int | None = None

    def of(self, usage: Usage) -> int:
        """Micro-dollars for `usage`, rounded up once: a started micro-dollar is owed."""
        kinds = (
            (usage.cached_tokens, self.cached_input_microusd, self.input_microusd),
            (usage.audio_prompt_tokens, self.audio_input_microusd, self.input_microusd),
            (usage.image_prompt_tokens, self.image_input_microusd, self.input_microusd),
            (usage.reasoning_tokens, self.reasoning_microusd, self.output_microusd),
            (usage.audio_completion_tokens, self.audio_output_microusd, self.output_microusd),
        )
        whole = usage.prompt_tokens * self.input_microusd + usage.completion_tokens * self.output_microusd
        return _started(whole + sum(tokens * (rate - of_side) for tokens, rate, of_side in kinds if rate is not None))

    def most(self, prompt_tokens: int, completion_tokens: int) -> int:
        """Micro-dollars that so many tokens cost at most, of whatever kinds they are."""
        return _started(prompt_tokens * self._dearest_input + completion_tokens * self._dearest_output)

    def output_room(self, left_microusd: int, prompt_tokens: int, choices: int) -> int:
        """The longest that each of `choices` may be, in tokens, so that all is paid by `left_microusd`.

        0 where the prompt alone takes it all; MOST_TOKENS where output is free.
        """
        left = left_microusd * MILLION - prompt_tokens * self._dearest_input
        if left < 0:
            return 0
        each = choices * self._dearest_output
        return min(MOST_TOKENS, left // each) if each else MOST_TOKENS

    def as_json(self) -> Json:
        """What is set of it."""
        return {name: rate for name, rate in asdict(self).items() if rate is not None}

    @classmethod
    def from_json(cls, value: Json) -> "Price":
        """The price that `as_json` wrote."""
        return cls(**value)

    @property
    def _dearest_input(self) -> int:
        kinds = (self.cached_input_microusd, self.audio_input_microusd, self.image_input_microusd)
        return max(self.input_microusd, *(rate or 0 for rate in kinds))

    @property
    def _dearest_output(self) -> int:
        return max(self.output_microusd, self.reasoning_microusd or 0, self.audio_output_microusd or 0)


def _is_count(value: Json) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS


def _details(raw: Json, group: str, *names: str) -> list[int]:
    """The counts of these kinds; 0 where one is missing or is none."""
    details = raw.get(group)
    values = [details.get(name) if isinstance(details, dict) else None for name in names]
    return [value if _is_count(value) else 0 for value in values]


def _fitted(whole: int, counts: list[int]) -> list[int]:
    """`counts`, each cut to what those before it leave of `whole`."""
    fitted = []
    for count in counts:
        fitted.append(min(count, whole))
        whole -= fitted[-1]
    return fitted


def _started(millionths: int) -> int:
    return -(-millionths // MILLION)

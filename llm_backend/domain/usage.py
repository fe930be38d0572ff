"""What an answer used, in tokens of each kind and in what is sold by the piece, and what that costs."""

from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

from llm_backend.domain.usage_reports import MOST_TOKENS, read
from llm_backend.errors import Json

Basis = Literal["reported", "estimated", "crash", "void"]
"""Where a record's numbers come from: the upstream's report, our count, what was seen before a crash, or nothing."""

FAR_BELOW = 4
"""A report of less than a quarter of the estimate is flagged: no tokenizer is that good."""

TELLING_TOKENS = 64
"""Estimates below are too rough to hold a report against."""

MILLION = 1_000_000


class Units(NamedTuple):
    """What is sold by the piece, beside its tokens."""

    images: int = 0
    """Pictures made."""
    seconds: int = 0
    """Of sound heard; a started one counts."""
    characters: int = 0
    """Of text spoken."""

    @property
    def used(self) -> dict[str, int]:
        """Those that there are, by name."""
        return {name: count for name, count in zip(UNITS, self, strict=True) if count}


UNITS = Units._fields
"""By name, as in usage records."""

NO_UNITS = Units()


class Usage(NamedTuple):
    """Of one answer. The kinds of tokens among the prompt's, and those among the completion's, never overlap."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    audio_prompt_tokens: int = 0
    audio_completion_tokens: int = 0
    image_prompt_tokens: int = 0
    images: int = 0
    seconds: int = 0
    characters: int = 0
    raw: Json = None
    """The `usage` object as the upstream sent it."""
    is_inconsistent: bool = False
    """Whether the numbers of the report did not fit together, and were made to."""
    is_without_tokens: bool = False
    """Whether the report was of units alone."""

    @property
    def units(self) -> Units:
        """What of it is sold by the piece."""
        return Units(self.images, self.seconds, self.characters)

    @property
    def text_prompt_tokens(self) -> int:
        """Tokens of the text that was sent, cached or not."""
        return self.prompt_tokens - self.audio_prompt_tokens - self.image_prompt_tokens

    @property
    def text_completion_tokens(self) -> int:
        """Tokens of the text that was sent back: what was thought on the way is not in it."""
        return self.completion_tokens - self.audio_completion_tokens - self.reasoning_tokens

    def is_far_below(self, guessed: "Usage") -> bool:
        """Whether this is so little, beside the text that was sent and received, that it is likely to be wrong.

        What pictures and sounds count differs too much from model to model to tell.
        """
        written = 0 if guessed.images else guessed.text_completion_tokens
        pairs = (self.prompt_tokens, guessed.text_prompt_tokens), (self.completion_tokens, written)
        return any(likely >= TELLING_TOKENS and told * FAR_BELOW < likely for told, likely in pairs)

    def completed(self, guessed: "Usage") -> "Usage":
        """The report, with what it does not speak of as it was `guessed`: tokens of all kinds, or units."""
        known = self.units
        units = Units(*(told or likely for told, likely in zip(known, guessed.units, strict=True)))
        if self.is_without_tokens:
            return guessed._replace(**units._asdict(), raw=self.raw)
        return self if units == known else self._replace(**units._asdict())

    @classmethod
    def reported(cls, raw: Json) -> "Usage | None":
        """The upstream's `usage`; None where it is missing or no usage can be read from it. Zeros are a report."""
        found = read(raw)
        return None if found is None else cls(**found, raw=raw)


NOTHING_USED = Usage(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A model's price, in micro-dollars per million tokens or units, which add up.

    A kind of tokens without one costs what its side does.
    """

    input_microusd: int = 0
    output_microusd: int = 0
    cached_input_microusd: int | None = None
    audio_input_microusd: int | None = None
    image_input_microusd: int | None = None
    reasoning_microusd: int | None = None
    audio_output_microusd: int | None = None
    images_microusd: int = 0
    seconds_microusd: int = 0
    characters_microusd: int = 0

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
        others = sum(tokens * (rate - of_side) for tokens, rate, of_side in kinds if rate is not None)
        return _started(whole + others + self._of_units(usage))

    def most(self, prompt_tokens: int, completion_tokens: int, units: Units = NO_UNITS) -> int:
        """Micro-dollars that so many tokens, of whatever kinds they are, and `units` cost at most."""
        tokens = prompt_tokens * self._dearest_input + completion_tokens * self._dearest_output
        return _started(tokens + self._of_units(units))

    def output_room(self, left_microusd: int, prompt_tokens: int, choices: int, units: Units = NO_UNITS) -> int:
        """The longest that each of `choices` may be, in tokens, so that all is paid by `left_microusd`.

        0 where the prompt and the units alone take it all; MOST_TOKENS where output is free.
        """
        left = left_microusd * MILLION - prompt_tokens * self._dearest_input - self._of_units(units)
        if left < 0:
            return 0
        each = choices * self._dearest_output
        return min(MOST_TOKENS, left // each) if each else MOST_TOKENS

    def as_json(self) -> Json:
        """What is set of it."""
        told = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        return {name: rate for name, rate, unset in told if rate != unset}

    @classmethod
    def from_json(cls, value: Json) -> "Price":
        """The price that `as_json` wrote."""
        return cls(**value)

    def _of_units(self, units: Units | Usage) -> int:
        """In millionths of a micro-dollar."""
        heard, spoken = units.seconds * self.seconds_microusd, units.characters * self.characters_microusd
        return units.images * self.images_microusd + heard + spoken

    @property
    def _dearest_input(self) -> int:
        kinds = (self.cached_input_microusd, self.audio_input_microusd, self.image_input_microusd)
        return max(self.input_microusd, *(rate or 0 for rate in kinds))

    @property
    def _dearest_output(self) -> int:
        return max(self.output_microusd, self.reasoning_microusd or 0, self.audio_output_microusd or 0)


def _started(millionths: int) -> int:
    return -(-millionths // MILLION)

"""How much an answer may be: what is asked to be held back for it, and how the request is made to keep to that."""

import asyncio
from functools import cached_property

from llm_backend.domain.bounds import Sizes, cap_field, capped, choices, named_cap, prompt_bound
from llm_backend.domain.granting import Ask, Grant
from llm_backend.domain.prompts import prompt_text, text_bytes
from llm_backend.domain.sizing import Sizing
from llm_backend.domain.usage import Price, Usage
from llm_backend.errors import Json
from llm_backend.upstream.models import Model

COMPLETION_TOKENS = 16
"""What OpenAI gives on `/completions` where no length is named."""

SIZES = ("image_tokens", "made_image_tokens", "audio_tokens_per_minute", "page_tokens")
"""What is configured of each model."""

TOLERANCE_PERCENT = 10
TOLERANCE_TOKENS = 64
"""How far an upstream may pass its cap before it is cut: they count the last tokens differently."""


class Fitting(Sizing):
    """Of a text that continues one: its output can be made to fit."""

    def ask(self, price: Price | None) -> Ask:
        named = self._named
        output = self._most if named is None else named
        fits = named is None or getattr(self._work.caller, "fits", False)
        return Ask(
            self._prompt, output, self._choices, min(1, output) if fits else output, price, self._work.overshoots
        )

    @property
    def named_tokens(self) -> int:
        return (self._named or 0) * self._choices

    def sent(self, grant: Grant) -> dict[str, Json]:
        """The body to send: with the cap that was granted, in the one field that the upstream honours."""
        body: dict[str, Json] = {**self._work.body, "model": self._route.upstream_model}
        if self._is_capped(grant):
            body = capped(body, cap_field(self._work.path, self._route.output_cap_field), grant.output_tokens)
        return body

    def cut_at(self, grant: Grant) -> int | None:
        if not self._is_capped(grant) and self._named is None:
            return None
        most = grant.output_tokens * self._choices
        return most + most * TOLERANCE_PERCENT // 100 + TOLERANCE_TOKENS

    def guess(self, received: int, grant: Grant | None) -> Usage:
        likely = self._bench.estimates.usage(self._route.upstream_model, self._prompt_bytes, received)
        return self._within(likely, grant)

    async def counted(self, guessed: Usage, received: str, grant: Grant | None) -> Usage:
        """The usage by the model's own tokenizer, where that is loaded; else as it was guessed."""
        count = self._bench.tokenizer.count
        prompt = await count(self._route.upstream_model, await asyncio.to_thread(prompt_text, self._work.body))
        completion = await count(self._route.upstream_model, received)
        if prompt is None or completion is None:
            return guessed
        return self._within(Usage(prompt, completion), grant)

    def learn(self, reported: Usage, received: int) -> None:
        self._bench.estimates.learn(self._route.upstream_model, reported, self._prompt_bytes, received)

    def _within(self, likely: Usage, grant: Grant | None) -> Usage:
        """An estimate, cut to what was held back: nobody is charged more on a guess."""
        if grant is None or self._work.overshoots:
            return likely
        prompt = min(likely.prompt_tokens, self._prompt)
        completion = min(likely.completion_tokens, grant.reserved_tokens - prompt)
        if prompt == likely.prompt_tokens and completion == likely.completion_tokens:
            return likely
        return likely._replace(prompt_tokens=prompt, completion_tokens=completion)

    def _is_capped(self, grant: Grant) -> bool:
        """Whether the request says how long the answer may be: only where a limit asks for it."""
        return grant.is_bounded and not self._work.overshoots and self._most > 0

    @cached_property
    def _prompt(self) -> int:
        return prompt_bound(self._work.body, sizes_of(self._route.model))

    @cached_property
    def _prompt_bytes(self) -> int:
        return text_bytes(self._work.body)

    @cached_property
    def _choices(self) -> int:
        return choices(self._work.body)

    @property
    def _named(self) -> int | None:
        return named_cap(self._work.body)

    @property
    def _most(self) -> int:
        """The longest answer where the client names no length."""
        model, default = self._route.model, self._bench.default_output_tokens
        most = model.max_output_tokens if model else None
        return default if most is None else min(most, default)


class Continuing(Fitting):
    """Of a text whose continuation is short where the client names no length."""

    @property
    def _most(self) -> int:
        return COMPLETION_TOKENS


class Compacting(Fitting):
    """Of a text that is written anew, shorter: how long it may be cannot be said, so that it is not made to fit."""

    def ask(self, price: Price | None) -> Ask:
        return Ask(self._prompt, self._most, 1, self._most, price, self._work.overshoots)

    def _is_capped(self, grant: Grant) -> bool:  # noqa: ARG002 (it never is)
        return False


class Reading(Fitting):
    """Of a text that is read, and answered without tokens of its own."""

    @property
    def _named(self) -> int | None:
        return 0

    @property
    def _most(self) -> int:
        return 0


def sizes_of(model: Model | None) -> Sizes:
    """What is no text counts at this model."""
    if model is None:
        return Sizes()
    sizes = {name: getattr(model, name) for name in SIZES}
    known = {name: size for name, size in sizes.items() if size is not None}
    return Sizes(**known, **({"context_tokens": model.context_length} if model.context_length else {}))

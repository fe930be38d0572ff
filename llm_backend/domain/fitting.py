"""How much an answer may be: what is asked to be held back for it, and how the request is made to keep to that."""

from dataclasses import replace
from functools import cached_property

from llm_backend.domain.bounds import Sizes, cap_field, capped, choices, named_cap, prompt_bound
from llm_backend.domain.granting import Ask, Grant
from llm_backend.domain.usage import Price, Usage
from llm_backend.domain.work import Work
from llm_backend.errors import Json
from llm_backend.upstream.catalogue import Route

WITHOUT_OUTPUT = frozenset({"/embeddings"})
"""Paths whose answers have no tokens of their own."""

COMPLETION_TOKENS = 16
"""What OpenAI gives on `/completions` where no length is named."""

TOLERANCE_PERCENT = 10
TOLERANCE_TOKENS = 64
"""How far an upstream may pass its cap before it is cut: they count the last tokens differently."""


class Fitting:
    """One request's size."""

    def __init__(self, work: Work, route: Route, default_output_tokens: int) -> None:
        self._work = work
        self._route = route
        self._default_output_tokens = default_output_tokens

    def measure(self) -> None:
        """Look through the body; what is found is remembered."""
        self.ask(None)

    def ask(self, price: Price | None) -> Ask:
        """What the request may cost at most, at `price`."""
        named = self._named
        output = self._most if named is None else named
        fits = named is None or getattr(self._work.caller, "fits", False)
        return Ask(
            self._prompt, output, self._choices, min(1, output) if fits else output, price, self._work.overshoots
        )

    @property
    def named_tokens(self) -> int:
        """What the client asked for, of all choices together; 0 where it named no length."""
        return (self._named or 0) * self._choices

    def fitted(self, grant: Grant) -> dict[str, Json]:
        """The body to send: with the cap that was granted, in the one field that the upstream honours."""
        body = {**self._work.body, "model": self._route.upstream_model}
        if not self._is_capped(grant):
            return body
        field = cap_field(self._work.path, self._route.upstream.manner.output_cap_field)
        return capped(body, field, grant.output_tokens)

    def cut_at(self, grant: Grant) -> int | None:
        """Tokens beyond which an answer has run away; None where nothing bounds it."""
        if not self._is_capped(grant) and self._named is None:
            return None
        most = grant.output_tokens * self._choices
        return most + most * TOLERANCE_PERCENT // 100 + TOLERANCE_TOKENS

    def within(self, likely: Usage, grant: Grant | None) -> Usage:
        """An estimate, cut to what was held back: nobody is charged more on a guess."""
        if grant is None or self._work.overshoots:
            return likely
        prompt = min(likely.prompt_tokens, self._prompt)
        return replace(
            likely,
            prompt_tokens=prompt,
            completion_tokens=min(likely.completion_tokens, grant.reserved_tokens - prompt),
        )

    def _is_capped(self, grant: Grant) -> bool:
        """Whether the request says how long the answer may be: only where a limit asks for it."""
        return grant.is_bounded and not self._work.overshoots and self._most > 0

    @cached_property
    def _prompt(self) -> int:
        return prompt_bound(self._work.body, self._sizes)

    @cached_property
    def _choices(self) -> int:
        return choices(self._work.body)

    @cached_property
    def _named(self) -> int | None:
        return 0 if self._work.path in WITHOUT_OUTPUT else named_cap(self._work.body)

    @property
    def _most(self) -> int:
        """The longest answer where the client names no length."""
        if self._work.path in WITHOUT_OUTPUT:
            return 0
        if self._work.path == "/completions":
            return COMPLETION_TOKENS
        model = self._route.model
        most = model.max_output_tokens if model else None
        return self._default_output_tokens if most is None else min(most, self._default_output_tokens)

    @property
    def _sizes(self) -> Sizes:
        model = self._route.model
        if model is None:
            return Sizes()
        sizes = {name: getattr(model, name) for name in ("image_tokens", "audio_tokens_per_minute", "page_tokens")}
        known = {name: size for name, size in sizes.items() if size is not None}
        return Sizes(**known, **({"context_tokens": model.context_length} if model.context_length else {}))

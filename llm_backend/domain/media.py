"""How much pictures, speech and sounds may use, and have used: nothing of it can be made to fit."""

from abc import abstractmethod
from functools import cached_property

from llm_backend.domain.fitting import sizes_of
from llm_backend.domain.granting import Ask, Grant
from llm_backend.domain.media_bounds import (
    hearing_bound,
    hearing_likely,
    pictures_bound,
    pictures_likely,
    speech_bound,
    speech_likely,
)
from llm_backend.domain.prompts import text_bytes
from llm_backend.domain.sizing import Sizing
from llm_backend.domain.sounds import Sound
from llm_backend.domain.usage import Price, Units, Usage
from llm_backend.errors import Json
from llm_backend.upstream.forms import Part

MARKUP = "markup"
"""The file of an edit that is read as text."""


class Media(Sizing):
    """Of what is bounded as a whole."""

    def ask(self, price: Price | None) -> Ask:
        most = self._most
        units = Units(images=most.images, seconds=most.seconds, characters=most.characters)
        output = most.completion_tokens
        return Ask(most.prompt_tokens, output, least_output_tokens=output, price=price, units=units)

    def guess(self, received: int, grant: Grant | None) -> Usage:  # noqa: ARG002 (what is held back is the bound)
        return _within(self._likely(received), self._most)

    @cached_property
    def _most(self) -> Usage:
        return self._bound()

    @abstractmethod
    def _bound(self) -> Usage:
        """The most that the request can use."""

    @abstractmethod
    def _likely(self, received: int) -> Usage:
        """What it is likely to use, once so much of its answer has come."""

    def _tokens(self, received: int = 0) -> Usage:
        """Of the texts in the request, and of an answer of so many bytes."""
        return self._bench.estimates.usage(self._route.upstream_model, text_bytes(self._work.body), received)

    def _files(self, name: str) -> list[Part]:
        form = self._work.form
        return [part for part in form.parts if part.name == name and part.filename is not None] if form else []


class Pictures(Media):
    """Of pictures that are made. What is received is counted in pictures."""

    def received(self, content: Json, text: str) -> int:  # noqa: ARG002 (they say nothing)
        made = content.get("data") if isinstance(content, dict) else None
        # Of a stream nobody knows how many were made: all that were asked for.
        return len(made) if isinstance(made, list) else self._most.images

    def _bound(self) -> Usage:
        markup = sum(part.size for part in self._files(MARKUP))
        return pictures_bound(self._work.body, sizes_of(self._route.model), markup)

    def _likely(self, received: int) -> Usage:
        return pictures_likely(self._tokens().prompt_tokens, self._work.body, received, sizes_of(self._route.model))


class Speech(Media):
    """Of a text that is spoken."""

    def _bound(self) -> Usage:
        return speech_bound(self._work.body, sizes_of(self._route.model))

    def _likely(self, received: int) -> Usage:  # noqa: ARG002 (it is sold by what is sent)
        return speech_likely(self._tokens().prompt_tokens, self._work.body, sizes_of(self._route.model))


class Hearing(Media):
    """Of a sound that is written down."""

    def _bound(self) -> Usage:
        return hearing_bound(self._work.body, self._sound, sizes_of(self._route.model))

    def received(self, content: Json, text: str) -> int:
        self._seconds = self._sound.heard_seconds(content)
        return super().received(content, text)

    def _likely(self, received: int) -> Usage:
        tokens, seconds = self._tokens(received), self._seconds
        sizes = sizes_of(self._route.model)
        return hearing_likely(tokens.prompt_tokens, tokens.completion_tokens, seconds, sizes)

    @cached_property
    def _seconds(self) -> int:
        """How long the sound is, unless its answer says so."""
        return self._sound.likely_seconds

    @cached_property
    def _sound(self) -> Sound:
        return Sound.of(self._files("file")[0])


def _within(likely: Usage, most: Usage) -> Usage:
    """An estimate, cut to what was held back: nobody is charged more on a guess."""
    prompt = min(likely.prompt_tokens, most.prompt_tokens)
    completion = min(likely.completion_tokens, most.completion_tokens)
    return likely._replace(
        prompt_tokens=prompt,
        completion_tokens=completion,
        image_prompt_tokens=min(likely.image_prompt_tokens, prompt),
        audio_prompt_tokens=min(likely.audio_prompt_tokens, prompt),
        audio_completion_tokens=min(likely.audio_completion_tokens, completion),
        images=min(likely.images, most.images),
        seconds=min(likely.seconds, most.seconds),
        characters=min(likely.characters, most.characters),
    )

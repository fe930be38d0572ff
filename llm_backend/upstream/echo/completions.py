"""Legacy text completions: the words of each prompt."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from llm_backend.errors import Json
from llm_backend.upstream.echo import directives as asked
from llm_backend.upstream.echo import words
from llm_backend.upstream.echo.chat_wire import CREATED, FINGERPRINT
from llm_backend.upstream.echo.directives import Directives
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.inputs import Input, inputs_of
from llm_backend.upstream.echo.limits import check_context, cut, stopped
from llm_backend.upstream.echo.logprobs import text_logprobs
from llm_backend.upstream.echo.request import limit_of, number_of, stops_of, wants_usage
from llm_backend.upstream.echo.usage import Usage


@dataclass(frozen=True, slots=True)
class Text:
    """One choice: the prompt first, where `echo` asked for it, then what was made."""

    shown: tuple[str, ...]
    made: tuple[str, ...]
    finish: str

    @property
    def pieces(self) -> tuple[str, ...]:
        return self.shown + self.made


@dataclass(frozen=True, slots=True)
class Completion:
    """The choices to all prompts, and what they cost."""

    request: Mapping[str, Json]
    directives: Directives
    texts: Sequence[Text]
    prompt_tokens: int
    digest: str

    @property
    def usage(self) -> Usage:
        completion = sum(len(text.made) for text in self.texts)
        return Usage(self.prompt_tokens, completion).told(self.directives)

    def whole(self) -> Event:
        choices = [
            self._choice(index, "".join(text.pieces), text.pieces, text.finish) for index, text in enumerate(self.texts)
        ]
        tokens = sum(len(text.made) for text in self.texts)
        return Event(self._header() | {"choices": choices, "usage": self.usage.payload()}, tokens)

    def events(self) -> Iterator[Event]:
        silent: dict[str, Json] = {"usage": None} if wants_usage(self.request) else {}
        for choice, tokens in self._choices():
            yield Event(self._header() | {"choices": [choice]} | silent, tokens)
        if silent:
            yield Event(self._header() | {"choices": [], "usage": self.usage.payload()})

    def _choices(self) -> Iterator[tuple[Json, int]]:
        offsets = [0] * len(self.texts)
        for place, row in enumerate(zip_longest(*(text.pieces for text in self.texts))):
            for index, piece in enumerate(row):
                if piece is not None:
                    made = place >= len(self.texts[index].shown)
                    yield self._choice(index, piece, (piece,), None, offsets[index]), int(made)
                    offsets[index] += len(piece)
        for index, text in enumerate(self.texts):
            yield self._choice(index, "", (), text.finish, offsets[index]), 0

    def _choice(
        self, index: int, text: str, tokens: Sequence[str], finish: str | None, start: int = 0
    ) -> dict[str, Json]:
        top = limit_of(self.request, "logprobs")
        logprobs = text_logprobs(tokens, top, start) if top is not None and tokens else None
        return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}

    def _header(self) -> dict[str, Json]:
        return {
            "id": f"cmpl-{self.digest[:24]}",
            "object": "text_completion",
            "created": CREATED,
            "model": self.request["model"],
            "system_fingerprint": FINGERPRINT,
        }


def complete(request: Mapping[str, Json], digest: str) -> Completion:
    """Read and answer `request`: `n` choices for each prompt in turn. Raises Refusal where it is broken."""
    # OpenAI's own: null is the beginning of a text, and no error.
    prompts = [Input("")] if request.get("prompt", "") is None else inputs_of(request, "prompt")
    choices = number_of(request, "n")
    check_context(sum(len(prompt.raw) for prompt in prompts), choices, "prompt")
    directives = asked.read(prompts[-1].raw)
    texts = [_text(prompt, request, directives) for prompt in prompts for _ in range(choices)]
    return Completion(request, directives, texts, sum(prompt.tokens for prompt in prompts), digest)


def _text(prompt: Input, request: Mapping[str, Json], directives: Directives) -> Text:
    spoken = words.pieces(prompt.text)
    made = spoken if directives.words is None else words.repeated(spoken, directives.words)
    until = stopped(made, stops_of(request))
    limit = limit_of(request, "max_tokens")
    kept, _ = cut(until, len(until) if limit is None else limit)
    finish = directives.finish or ("stop" if len(kept) == len(until) else "length")
    shown = spoken if request.get("echo") is True else ()
    apart = (" " + kept[0], *kept[1:]) if shown and kept else kept
    return Text(shown, apart, finish)

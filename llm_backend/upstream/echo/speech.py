"""Speech: a tone that lasts as long as the text, and keeps it."""

from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from llm_backend.errors import Json
from llm_backend.upstream.echo import directives as asked
from llm_backend.upstream.echo import words
from llm_backend.upstream.echo.directives import Directives
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.prepared import Blob, Prepared
from llm_backend.upstream.echo.request import Request, choice_of, text_of
from llm_backend.upstream.echo.script import Refusal
from llm_backend.upstream.echo.sound import RATE, SAMPLE_BYTES, Tone

_SAMPLES_A_CHARACTER: Final = 480
"""A fiftieth of a second."""
_SAMPLES_A_TOKEN: Final = 1_200
"""A twentieth of a second."""
_MOST_CHARACTERS: Final = 4096


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text, and the tone that stands for it."""

    text: str
    tone: Tone
    directives: Directives
    is_bare: bool
    """Whether it is the samples alone, without the header of a WAV file."""

    @property
    def output_tokens(self) -> int:
        return -(-self.tone.samples // _SAMPLES_A_TOKEN)

    @property
    def usage(self) -> Json:
        taken = self.directives.tokens.get("prompt", words.count(self.text))
        made = self.directives.tokens.get("completion", self.output_tokens)
        return {"input_tokens": taken, "output_tokens": made, "total_tokens": taken + made}

    def whole(self) -> Blob:
        kind = f"audio/pcm;rate={RATE};channels=1" if self.is_bare else "audio/wav"
        return Blob(kind, len(self._header) + self.tone.size, self._pieces(), self.output_tokens)

    def events(self) -> Iterator[Event]:
        """The sound in pieces, then what it cost."""
        for piece in self._pieces():
            tokens = -(-len(piece) // (_SAMPLES_A_TOKEN * SAMPLE_BYTES))
            yield Event({"type": "speech.audio.delta", "audio": b64encode(piece).decode()}, tokens)
        yield Event({"type": "speech.audio.done", "usage": self.usage})

    @property
    def _header(self) -> bytes:
        return b"" if self.is_bare else self.tone.header(self.text)

    def _pieces(self) -> Iterator[bytes]:
        if self._header:
            yield self._header
        yield from self.tone.pieces()


def speak_aloud(request: Request) -> Prepared:
    """Say the input. Raises Refusal where the request is broken."""
    fields = request.fields
    given = text_of(fields, "input")
    if not 0 < len(given) <= _MOST_CHARACTERS:
        message = f"'input' has 1 to {_MOST_CHARACTERS} characters."
        raise Refusal(message, param="input", code="invalid_value")
    text = asked.plain(given)
    samples = len(text) * round(_SAMPLES_A_CHARACTER / _speed(fields))
    is_bare = choice_of(fields, "response_format", ("wav", "pcm")) == "pcm"
    spoken = Spoken(text, Tone(samples, str(fields.get("voice"))), asked.read(given), is_bare)
    streams = choice_of(fields, "stream_format", ("audio", "sse")) == "sse"
    return Prepared(
        spoken.whole, spoken.directives, words.count(text), spoken.events, streams=streams, ends_in_done=False
    )


def _speed(fields: Mapping[str, Json]) -> float:
    speed = fields.get("speed")
    if speed is None:
        return 1.0
    if type(speed) not in (int, float) or not 0.25 <= speed <= 4:  # noqa: PLR2004 (OpenAI's bounds)
        raise Refusal("'speed' is a number from 0.25 to 4.", param="speed", code="invalid_value")
    return float(speed)

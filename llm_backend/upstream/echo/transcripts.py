"""Transcripts: the words that are kept in a sound made here; of any other sound, how long it is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final
from zlib import crc32

from llm_backend.errors import Json
from llm_backend.upstream.echo import directives as asked
from llm_backend.upstream.echo import words
from llm_backend.upstream.echo.directives import Directives
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.logprobs import chat_logprobs
from llm_backend.upstream.echo.prepared import Blob, Prepared
from llm_backend.upstream.echo.request import Request, choice_of, text_of
from llm_backend.upstream.echo.script import Refusal
from llm_backend.upstream.echo.sound import hear

_TOKENS_A_SECOND: Final = 10
_WORDS_A_SEGMENT: Final = 8


@dataclass(frozen=True, slots=True)
class Stint:
    """Some of the words, and when they are said: the time is shared out evenly among all."""

    text: str
    start: float
    end: float
    """In seconds."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was heard, and how it is told."""

    fields: Mapping[str, Json]
    directives: Directives
    pieces: tuple[str, ...]
    """The words, with the white space before each."""
    seconds: float
    task: str

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def is_timed(self) -> bool:
        """Models named after Whisper cost by the second, and do not stream."""
        return "whisper" in str(self.fields["model"])

    @property
    def prompt_tokens(self) -> int:
        return ceil(self.seconds * _TOKENS_A_SECOND) + self._prompt_words

    @property
    def _prompt_words(self) -> int:
        return words.count(asked.plain(str(self.fields.get("prompt") or "")))

    @property
    def usage(self) -> Json:
        if self.is_timed:
            return {"type": "duration", "seconds": ceil(self.seconds)}
        taken = self.directives.tokens.get("prompt", self.prompt_tokens)
        made = self.directives.tokens.get("completion", len(self.pieces))
        text = min(self._prompt_words, taken)
        return {
            "type": "tokens",
            "input_tokens": taken,
            "output_tokens": made,
            "total_tokens": taken + made,
            "input_token_details": {"audio_tokens": taken - text, "text_tokens": text},
        }

    def whole(self) -> Event | Blob:
        return _FORMATS[choice_of(self.fields, "response_format", tuple(_FORMATS))](self)

    def events(self) -> Iterator[Event]:
        """A word in each event, then all of them with what they cost."""
        for piece in self.pieces:
            yield Event({"type": "transcript.text.delta", "delta": piece} | self._logprobs((piece,)), 1)
        done = {"type": "transcript.text.done", "text": self.text, "usage": self.usage}
        yield Event(done | self._logprobs(self.pieces))

    def json(self) -> Event:
        # OpenAI tells no usage of a translation.
        told = {"text": self.text} if self.task == "translate" else {"text": self.text, "usage": self.usage}
        return Event(told | self._logprobs(self.pieces), len(self.pieces))

    def plain(self) -> Blob:
        return Blob.text(f"{self.text}\n", len(self.pieces))

    def verbose(self) -> Event:
        """With the times of segments, of words, or of both, as `timestamp_granularities` asks."""
        wanted = self.fields.get("timestamp_granularities") or ["segment"]
        told: dict[str, Json] = {
            "task": self.task,
            "language": _language(self.fields.get("language")) if self.task == "transcribe" else "english",
            "duration": self.seconds,
            "text": self.text,
        }
        if "segment" in wanted:
            told["segments"] = [_segment(index, piece) for index, piece in enumerate(self.stints(_WORDS_A_SEGMENT))]
        if "word" in wanted:
            spoken = self.stints(1)
            told["words"] = [{"word": piece.text.strip(), "start": piece.start, "end": piece.end} for piece in spoken]
        if self.task == "transcribe":
            told["usage"] = {"type": "duration", "seconds": ceil(self.seconds)}
        return Event(told, len(self.pieces))

    def subtitles(self) -> Blob:
        cues = enumerate(self.stints(_WORDS_A_SEGMENT), start=1)
        return Blob.text("".join(f"{number}\n{_cue(piece, ',')}" for number, piece in cues), len(self.pieces))

    def captions(self) -> Blob:
        cues = (_cue(piece, ".") for piece in self.stints(_WORDS_A_SEGMENT))
        return Blob.text("WEBVTT\n\n" + "".join(cues), len(self.pieces))

    def stints(self, size: int) -> Sequence[Stint]:
        """`size` words in each."""
        a_word = self.seconds / max(len(self.pieces), 1)
        return [
            Stint(
                "".join(self.pieces[begun : begun + size]),
                round(begun * a_word, 3),
                round(min(begun + size, len(self.pieces)) * a_word, 3),
            )
            for begun in range(0, len(self.pieces), size)
        ]

    def _logprobs(self, pieces: Sequence[str]) -> dict[str, Json]:
        include = self.fields.get("include")
        if not isinstance(include, list) or "logprobs" not in include:
            return {}
        entries = chat_logprobs(pieces, 0)["content"]
        return {"logprobs": [{name: entry[name] for name in ("token", "logprob", "bytes")} for entry in entries]}


_FORMATS: Final[Mapping[str, Callable[[Transcript], Event | Blob]]] = {
    "json": Transcript.json,
    "text": Transcript.plain,
    "srt": Transcript.subtitles,
    "verbose_json": Transcript.verbose,
    "vtt": Transcript.captions,
}


def transcribe(request: Request) -> Prepared:
    """The words of a file. Raises Refusal where there is none."""
    transcript = _transcript(request, "transcribe")
    return Prepared(
        transcript.whole,
        transcript.directives,
        transcript.prompt_tokens,
        transcript.events,
        streams=request.streams and not transcript.is_timed,
        ends_in_done=False,
    )


def translate(request: Request) -> Prepared:
    """The same words: they are taken for English. Raises Refusal where there is no file."""
    transcript = _transcript(request, "translate")
    return Prepared(transcript.whole, transcript.directives, transcript.prompt_tokens)


def _transcript(request: Request, task: str) -> Transcript:
    part = request.file("file")
    if not part.size:
        raise Refusal("The audio file is empty.", param="file", code="invalid_value")
    choice_of(request.fields, "response_format", tuple(_FORMATS))
    prompt = text_of(request.fields, "prompt") if "prompt" in request.fields else ""
    directives = asked.read(prompt)
    heard = hear(part)
    text = f"{heard.seconds:.1f} seconds of sound." if heard.words is None else heard.words
    pieces = words.pieces(text)
    if directives.words is not None:
        pieces = words.repeated(pieces, directives.words)
    return Transcript(request.fields, directives, pieces, round(heard.seconds, 3), task)


def _language(code: Json) -> str:
    """Its name where the code is one of a few, else the code itself; English where none was given."""
    names = {"de": "german", "en": "english", "es": "spanish", "fr": "french", "it": "italian"}
    return names.get(str(code), str(code)) if code else "english"


def _segment(index: int, piece: Stint) -> Json:
    return {
        "id": index,
        "seek": 0,
        "start": piece.start,
        "end": piece.end,
        "text": piece.text,
        "tokens": [crc32(word.encode()) % 50_000 for word in piece.text.split()],
        "temperature": 0.0,
        "avg_logprob": -0.25,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def _cue(piece: Stint, mark: str) -> str:
    """One subtitle, with `mark` before the milliseconds."""
    return f"{_clock(piece.start, mark)} --> {_clock(piece.end, mark)}\n{piece.text.strip()}\n\n"


def _clock(seconds: float, mark: str) -> str:
    thousandths = round(seconds * 1000)
    minutes, thousandths = divmod(thousandths, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{thousandths // 1000:02}{mark}{thousandths % 1000:03}"

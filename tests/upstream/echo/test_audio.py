"""Speech that plays, and transcripts of it and of anything else."""

import io
import wave
from typing import Any

import openai
import pytest
from openai.types.audio import TranscriptionVerbose

from llm_backend.upstream.forms import Form, Part
from tests.upstream.echo.asking import Answered, Asker, Json

TEXT = "The quick brown fox jumps over the lazy dög, twice!"


async def spoken(ask: Asker, text: str = TEXT, **request: Json) -> Answered:
    return await ask.post("/audio/speech", {"model": "echo-speech", "input": text, "voice": "alloy"} | request)


async def transcribed(ask: Asker, sound: bytes, path: str = "/audio/transcriptions", **fields: str) -> Answered:
    texts = [Part.text(name, value) for name, value in ({"model": "echo-transcribe"} | fields).items()]
    return await ask.post(path, Form((Part("file", sound, len(sound), "a.wav", "audio/wav"), *texts)))


async def test_speech_is_a_wav_file_as_long_as_the_text(ask: Asker) -> None:
    answer = await spoken(ask)

    with wave.open(io.BytesIO(answer.body)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24_000, 1, 2)
        assert sound.getnframes() == 480 * len(TEXT)
        samples = sound.readframes(sound.getnframes())
    assert answer.headers["content-type"] == "audio/wav"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert len(set(samples)) > 10
    assert (await spoken(ask)).body == answer.body


async def test_pcm_is_the_same_sound_without_a_header_and_speed_shortens_it(ask: Asker) -> None:
    plain = await spoken(ask)
    bare = await spoken(ask, response_format="pcm")
    fast = await spoken(ask, response_format="pcm", speed=2)

    assert plain.body.endswith(bare.body)
    assert len(fast.body) * 2 == len(bare.body)
    assert bare.headers["content-type"].startswith("audio/pcm")


async def test_speech_comes_as_events_with_its_usage_last(ask: Asker) -> None:
    answer = await spoken(ask, "one two", stream_format="sse")

    kinds = [line for line in answer.body.decode().split("\n\n") if line]
    assert [kind.split('"')[3] for kind in kinds] == ["speech.audio.delta", "speech.audio.delta", "speech.audio.done"]
    assert ask.last.usage == {"input_tokens": 2, "output_tokens": 3, "total_tokens": 5}
    assert ask.last.stream


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"response_format": "mp3"}, "response_format"),
        ({"stream_format": "other"}, "stream_format"),
        ({"input": ""}, "input"),
        ({"input": 1}, "input"),
        ({"input": "a" * 4097}, "input"),
        ({"speed": 5}, "speed"),
    ],
)
async def test_what_cannot_be_spoken_is_refused(ask: Asker, wrong: Json, param: str) -> None:
    answer = await spoken(ask, **({"text": "a"} | wrong))

    assert (answer.status, answer.error["param"]) == (400, param)


async def test_a_fault_breaks_the_sound_in_its_middle(ask: Asker) -> None:
    whole = await spoken(ask)
    cut = await spoken(ask, f"[[fault fin]] {TEXT}")

    assert len(cut.body) == len(whole.body) // 2
    assert ask.last.ending == "complete"


async def test_what_was_spoken_is_what_is_transcribed(strict: openai.AsyncOpenAI) -> None:
    speech = await strict.audio.speech.create(model="echo-speech", voice="alloy", input=TEXT)

    answer = await strict.audio.transcriptions.create(model="echo-transcribe", file=("a.wav", speech.content))
    with pytest.warns(DeprecationWarning, match="deprecated"):
        translated = await strict.audio.translations.create(model="echo-whisper", file=("a.wav", speech.content))

    assert (answer.text, translated.text) == (TEXT, TEXT)
    assert answer.usage is not None
    assert answer.usage.type == "tokens"
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 10)


async def test_a_verbose_transcript_tells_segments_and_words_with_their_times(strict: openai.AsyncOpenAI) -> None:
    speech = await strict.audio.speech.create(model="echo-speech", voice="alloy", input=TEXT)

    answer: Any = await strict.audio.transcriptions.create(
        model="echo-whisper",
        file=("a.wav", speech.content),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="de",
    )

    assert isinstance(answer, TranscriptionVerbose)
    assert (answer.duration, answer.language) == (1.02, "german")
    assert [segment.text for segment in answer.segments or []] == [TEXT[:40].rstrip(), TEXT[39:]]
    assert [word.word for word in answer.words or []] == TEXT.split()
    assert answer.segments is not None
    assert answer.segments[-1].end == 1.02
    assert answer.usage is not None
    assert answer.usage.seconds == 2


async def test_a_stream_carries_a_word_in_each_event_and_usage_in_the_last(strict: openai.AsyncOpenAI) -> None:
    speech = await strict.audio.speech.create(model="echo-speech", voice="alloy", input="one two three")

    stream = await strict.audio.transcriptions.create(
        model="echo-transcribe", file=("a.wav", speech.content), stream=True, include=["logprobs"]
    )

    *deltas, done = [event async for event in stream]
    assert [delta.delta for delta in deltas if delta.type == "transcript.text.delta"] == ["one", " two", " three"]
    assert done.type == "transcript.text.done"
    assert done.text == "one two three"
    assert done.usage is not None
    assert done.usage.output_tokens == 3
    assert len(done.logprobs or []) == 3


async def test_texts_and_subtitles_are_no_json(ask: Asker) -> None:
    sound = (await spoken(ask, "one two")).body

    text, subtitles, captions = [await transcribed(ask, sound, response_format=name) for name in ("text", "srt", "vtt")]

    assert text.headers["content-type"].startswith("text/plain")
    assert text.body == b"one two\n"
    assert subtitles.body == b"1\n00:00:00,000 --> 00:00:00,140\none two\n\n"
    assert captions.body == b"WEBVTT\n\n00:00:00.000 --> 00:00:00.140\none two\n\n"


async def test_whisper_costs_seconds_and_does_not_stream(ask: Asker) -> None:
    sound = (await spoken(ask)).body

    answer = await transcribed(ask, sound, model="echo-whisper", stream="true")

    assert answer.json["usage"] == {"type": "duration", "seconds": 2}


async def test_another_sound_is_told_by_its_length(ask: Asker) -> None:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(8000 * 4 * 3))

    own = await transcribed(ask, made.getvalue(), prompt="[[words 8]] a b")
    unknown = await transcribed(ask, bytes(16_000))
    broken = await transcribed(ask, made.getvalue()[:30])

    assert own.json["text"] == "3.0 seconds of sound. 3.0 seconds of sound."
    assert own.json["usage"]["input_token_details"] == {"audio_tokens": 30, "text_tokens": 2}
    assert unknown.json["text"] == "1.0 seconds of sound."
    assert broken.json["text"] == "0.0 seconds of sound."


async def test_what_cannot_be_transcribed_is_refused(ask: Asker) -> None:
    nothing = await transcribed(ask, b"")
    strange = await transcribed(ask, b"a", response_format="docx")
    missing = await ask.post("/audio/translations", {"model": "echo-whisper"})
    nameless = await ask.post("/audio/translations", Form((Part("file", b"a", 1, "a.wav"),)))

    assert [answer.error["param"] for answer in (nothing, strange, missing, nameless)] == [
        "file",
        "response_format",
        "file",
        "model",
    ]


async def test_faults_are_asked_for_by_the_prompt_or_the_model(ask: Asker) -> None:
    lying = await transcribed(ask, b"abc", prompt="[[fault usage-zero]]")
    told = await transcribed(ask, b"abc", prompt="[[tokens prompt=7 completion=9]]")
    limited = await transcribed(ask, b"abc", model="echo-fault-429:retry-after=3")

    assert lying.json["usage"]["total_tokens"] == 0
    assert told.json["usage"]["total_tokens"] == 16
    assert (limited.status, limited.headers["retry-after"]) == (429, "3")

"""The official Python SDK, newest 3.x: moderation, pictures, speech and transcripts, whole, streamed and as files."""

import base64
import json
from pathlib import Path

import openai
import pytest
from openai import AsyncOpenAI

from tests.serving import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")

OLDER = pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
"""What the SDK calls deprecated and people go on calling."""


def size(b64_json: str | None) -> tuple[int, int]:
    """Width and height of a PNG that came as base64."""
    data = base64.b64decode(b64_json or "", validate=True)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


async def picture(client: AsyncOpenAI, prompt: str) -> tuple[str, bytes, str]:
    made = await client.images.generate(model="echo-image", prompt=prompt, size="64x64")
    assert made.data
    return "picture.png", base64.b64decode(made.data[0].b64_json or ""), "image/png"


async def spoken(client: AsyncOpenAI, text: str) -> tuple[str, bytes]:
    answer = await client.audio.speech.create(model="echo-speech", voice="alloy", input=text, response_format="wav")
    return "said.wav", answer.content


async def test_a_text_is_moderated_and_each_of_several(client: AsyncOpenAI, platform: Running) -> None:
    one = await client.moderations.create(input="[[flag violence]] a fight")
    many = await client.moderations.create(model="echo-moderation", input=["a tree", "[[flag violence]] a fight"])

    assert one.results[0].categories.violence
    assert [result.flagged for result in many.results] == [False, True]
    assert [record.operation for record in await platform.records()] == ["createModeration"] * 2


async def test_pictures_are_made_and_counted(client: AsyncOpenAI, platform: Running) -> None:
    made = await client.images.generate(model="echo-image", prompt="a green tree", n=2, size="96x64")
    addressed = await client.images.generate(model="echo-dall-e", prompt="a tree", size="64x64", response_format="url")

    assert [size(each.b64_json) for each in made.data or ()] == [(96, 64)] * 2
    assert addressed.data
    kind, _, data = (addressed.data[0].url or "").partition(",")
    assert (kind, size(data)) == ("data:image/png;base64", (64, 64))
    first, second = await platform.records()
    assert made.usage
    assert (first.prompt_tokens, first.completion_tokens) == (made.usage.input_tokens, made.usage.output_tokens)
    assert (first.status, second.status) == ("completed", "completed")


async def test_a_picture_is_streamed_in_ever_better_ones(client: AsyncOpenAI, platform: Running) -> None:
    stream = await client.images.generate(
        model="echo-image", prompt="a tree", size="64x64", stream=True, partial_images=2
    )
    *partial, last = [event async for event in stream]

    assert [event.type for event in partial] == ["image_generation.partial_image"] * 2
    assert last.type == "image_generation.completed"
    assert [size(event.b64_json) for event in (*partial, last)] == [(64, 64)] * 3
    (record,) = await platform.records()
    assert (record.stream, record.completion_tokens) == (True, last.usage.output_tokens)


async def test_pictures_are_edited_one_or_several_whole_or_streamed(client: AsyncOpenAI) -> None:
    tree, hill = await picture(client, "a tree"), await picture(client, "a hill")
    one = await client.images.edit(model="echo-image", image=tree, prompt="with snow", size="64x64")
    stream = await client.images.edit(
        model="echo-image", image=[tree, hill], mask=tree, prompt="both", size="64x64", stream=True, partial_images=1
    )

    assert [size(each.b64_json) for each in one.data or ()] == [(64, 64)]
    assert [event.type async for event in stream] == ["image_edit.partial_image", "image_edit.completed"]


@OLDER
async def test_a_picture_is_varied(client: AsyncOpenAI) -> None:
    made = await client.images.create_variation(
        model="echo-dall-e", image=await picture(client, "a tree"), n=2, size="256x256", response_format="b64_json"
    )

    assert [size(each.b64_json) for each in made.data or ()] == [(256, 256)] * 2


async def test_speech_goes_into_a_file_and_its_transcript_is_what_was_said(
    client: AsyncOpenAI, platform: Running, tmp_path: Path
) -> None:
    file = tmp_path / "said.wav"
    asked = client.audio.speech.with_streaming_response.create(
        model="echo-speech", voice="alloy", input="Grüße from 世界", response_format="wav"
    )
    async with asked as answer:
        await answer.stream_to_file(file)
    heard = await client.audio.transcriptions.create(model="echo-transcribe", file=file)

    assert answer.headers["content-type"].startswith("audio/wav")
    assert file.read_bytes().startswith(b"RIFF")
    assert heard.text == "Grüße from 世界"
    assert [record.operation for record in await platform.records()] == ["createSpeech", "createTranscription"]


async def test_speech_comes_as_events_where_that_is_asked_for(client: AsyncOpenAI) -> None:
    answer = await client.audio.speech.create(
        model="echo-speech", voice="alloy", input="one two", response_format="pcm", stream_format="sse"
    )
    events = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]

    assert answer.response.headers["content-type"].startswith("text/event-stream")
    *deltas, last = [event["type"] for event in events]
    assert (set(deltas), last) == ({"speech.audio.delta"}, "speech.audio.done")


async def test_a_transcript_comes_in_every_form(client: AsyncOpenAI) -> None:
    file = await spoken(client, "one two three")
    asked = client.audio.transcriptions
    verbose = await asked.create(model="echo-whisper", file=file, response_format="verbose_json")

    assert (await asked.create(model="echo-whisper", file=file, response_format="text")).strip() == "one two three"
    assert (await asked.create(model="echo-whisper", file=file, response_format="srt")).startswith(
        "1\n00:00:00,000 -->"
    )
    assert (await asked.create(model="echo-whisper", file=file, response_format="vtt")).startswith("WEBVTT\n")
    assert [segment.text.strip() for segment in verbose.segments or ()] == ["one two three"]
    assert verbose.usage
    assert verbose.usage.type == "duration"


async def test_a_transcript_is_streamed_word_by_word(client: AsyncOpenAI, platform: Running) -> None:
    file = await spoken(client, "one two three")
    stream = await client.audio.transcriptions.create(model="echo-transcribe", file=file, stream=True)
    *words, last = [event async for event in stream]

    assert "".join(event.delta for event in words if event.type == "transcript.text.delta") == "one two three"
    assert last.type == "transcript.text.done"
    assert last.text == "one two three"
    assert (await platform.records())[-1].stream


@OLDER
async def test_a_translation_is_heard_too(client: AsyncOpenAI) -> None:
    heard = await client.audio.translations.create(model="echo-whisper", file=await spoken(client, "one two"))

    assert heard.text == "one two"


async def test_what_is_wrong_with_a_form_names_its_field(client: AsyncOpenAI, platform: Running) -> None:
    file = ("said.wav", b"no sound")
    asked = [
        (client.audio.transcriptions.create(file=file, model=""), "model"),
        (client.images.edit(image=file, prompt="x", extra_body={"n": "many"}), "n"),
    ]
    for request, param in asked:
        with pytest.raises(openai.BadRequestError) as raised:
            await request
        assert raised.value.param == param
    assert await platform.records() == []

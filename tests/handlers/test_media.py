"""Moderations, pictures, speech and sounds, through the official SDK and the built-in model."""

import shutil
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from openai import AsyncOpenAI, RateLimitError

from tests.handlers.administering import administering
from tests.serving import Running, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRICES = """
[models.echo-image]
image_tokens = 1_000
images_microusd_per_million = 40_000_000_000
[models.echo-dall-e]
images_microusd_per_million = 20_000_000_000
[models.echo-speech]
characters_microusd_per_million = 15_000_000
[models.echo-whisper]
seconds_microusd_per_million = 100_000_000
[models.echo-transcribe]
[models.echo-moderation]
[models.studio]
upstream_model = "echo-image"
"""
PNG = b"\x89PNG\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A server whose models have prices by the piece; its tests look at the newest records only."""
    folder = tmp_path_factory.mktemp("media")
    shutil.copy(migrated_file, folder / "media.db")
    async with serving(f"sqlite:///{folder / 'media.db'}", folder, toml=PRICES) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def client(running: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=running.base_url, api_key=running.key, max_retries=0) as made:
        yield made


async def newest(running: Running) -> tuple[str, str, str, int]:
    """Operation, status, basis and cost of the last record."""
    record = (await running.records())[-1]
    return record.operation, record.status, record.basis, record.cost_microusd


async def test_a_text_is_moderated_by_whoever_moderates_where_no_model_is_named(
    running: Running, client: AsyncOpenAI
) -> None:
    answer = await client.moderations.create(input=["all is well", "[[flag violence]]"])

    assert [result.flagged for result in answer.results] == [False, True]
    assert (await running.records())[-1].model == "echo-moderation"
    assert (await newest(running))[:3] == ("createModeration", "completed", "estimated")
    assert not (await running.records())[-1].usage_missing


async def test_pictures_are_made_and_paid_by_the_piece(running: Running, client: AsyncOpenAI) -> None:
    answer = await client.images.generate(model="echo-image", prompt="a red square", n=2)

    assert answer.data is not None
    assert [b64decode(each.b64_json or "")[:6] for each in answer.data] == [PNG, PNG]
    assert await newest(running) == ("createImage", "completed", "reported", 80_000)


async def test_pictures_whose_upstream_counts_no_tokens_are_charged_by_what_was_made(
    running: Running, client: AsyncOpenAI
) -> None:
    await client.images.generate(model="echo-dall-e", prompt="a red square", n=3)

    record = (await running.records())[-1]
    assert await newest(running) == ("createImage", "completed", "estimated", 60_000)
    assert record.completion_tokens > 0


async def test_a_picture_comes_as_events_under_the_name_it_was_asked_for(running: Running) -> None:
    body = {"model": "studio", "prompt": "a red square", "stream": True, "partial_images": 2}
    async with httpx.AsyncClient(headers=running.headers) as plain:
        answer = await plain.post(f"{running.base_url}/images/generations", json=body)

    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]
    assert "[DONE]" not in answer.text
    assert (await newest(running))[:3] == ("createImage", "completed", "reported")


async def test_pictures_are_edited_and_varied(running: Running, client: AsyncOpenAI) -> None:
    picture = ("square.png", PNG + bytes(64), "image/png")

    edited = await client.images.edit(model="echo-image", image=[picture, picture], prompt="a blue square")
    events = await client.images.edit(model="echo-image", image=picture, prompt="a blue square", stream=True)
    kinds = [event.type async for event in events]
    with pytest.warns(DeprecationWarning, match="deprecated"):
        varied = await client.images.create_variation(model="echo-dall-e", image=picture, n=2)

    assert edited.data is not None
    assert varied.data is not None
    assert len(edited.data) + len(varied.data) == 3
    assert kinds[-1] == "image_edit.completed"
    operations = [record.operation for record in (await running.records())[-3:]]
    assert operations == ["createImageEdit", "createImageEdit", "createImageVariation"]


async def test_pictures_are_edited_by_what_a_request_in_json_links_to(running: Running) -> None:
    linked = {"image_url": "data:image/png;base64,iVBORw0KGgo="}
    async with httpx.AsyncClient(headers=running.headers) as plain:
        body = {"model": "echo-image", "prompt": "a blue square", "images": [linked]}
        edited = await plain.post(f"{running.base_url}/images/edits", json=body)
        foreign = body | {"images": [{"file_id": "file-of-somebody"}]}
        refused = await plain.post(f"{running.base_url}/images/edits", json=foreign)

    assert (edited.status_code, len(edited.json()["data"])) == (200, 1)
    assert (refused.status_code, refused.json()["error"]["param"]) == (404, "images[0].file_id")


async def test_what_is_spoken_is_paid_by_its_characters_and_can_be_written_down_again(
    running: Running, client: AsyncOpenAI
) -> None:
    text = "Hello out there"
    spoken = await client.audio.speech.create(model="echo-speech", voice="alloy", input=text, response_format="wav")
    assert await newest(running) == ("createSpeech", "completed", "estimated", 15 * len(text))

    sound = ("hello.wav", spoken.content, "audio/wav")
    written = await client.audio.transcriptions.create(model="echo-whisper", file=sound)
    status, basis, cost = (await newest(running))[1:]
    plain = await client.audio.transcriptions.create(model="echo-whisper", file=sound, response_format="text")
    with pytest.warns(DeprecationWarning, match="deprecated"):
        translated = await client.audio.translations.create(model="echo-whisper", file=sound)

    assert written.text == translated.text == text
    assert plain.strip() == text
    assert (status, basis) == ("completed", "reported")
    assert cost >= 100


async def test_speech_and_transcripts_come_as_events(running: Running, client: AsyncOpenAI) -> None:
    body = {"model": "echo-speech", "voice": "alloy", "input": "Hello out there"}
    async with httpx.AsyncClient(headers=running.headers) as plain:
        told = await plain.post(f"{running.base_url}/audio/speech", json=body | {"stream_format": "sse"})
        sound = await plain.post(f"{running.base_url}/audio/speech", json=body | {"response_format": "wav"})
    spoken = (await running.records())[-2]

    events = await client.audio.transcriptions.create(
        model="echo-transcribe", file=("hello.wav", sound.content, "audio/wav"), stream=True
    )
    last = [event async for event in events][-1]

    assert told.headers["content-type"].startswith("text/event-stream")
    assert '"speech.audio.done"' in told.text.splitlines()[-2]
    assert (spoken.operation, spoken.status, spoken.basis) == ("createSpeech", "completed", "reported")
    assert last.type == "transcript.text.done"
    assert last.text == "Hello out there"


async def test_what_a_budget_does_not_cover_is_refused_before_it_is_asked_for(running: Running) -> None:
    assert running.echo is not None
    async with administering(running) as admin:
        poor = await admin.account("poor", budget_microusd=100_000)
    async with AsyncOpenAI(base_url=running.base_url, api_key=poor["api_key"], max_retries=0) as client:
        await client.images.generate(model="echo-image", prompt="a red square", n=2)
        asked = len(running.echo.calls)

        with pytest.raises(RateLimitError) as refused:
            await client.images.generate(model="echo-image", prompt="a red square")

    assert refused.value.code == "insufficient_quota"
    assert len(running.echo.calls) == asked

"""Pictures and speech on an upstream that breaks: what the client is told, and what is charged."""

import asyncio
from base64 import b64encode

import aiohttp
import orjson
import pytest

from llm_backend.errors import Json
from tests.faults.asking import events_in
from tests.faults.stage import Stage, told
from tests.faulty import Cut, Hang, Reset, error, event, head
from tests.told import End

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURE: Json = {"model": "painter", "prompt": "Hello there", "n": 2}
SPOKEN: Json = {"model": "speaker", "voice": "alloy", "input": "Hello there"}
MODERATED: Json = {"model": "guardian", "input": "Hello there"}
PATHS = {"painter": "images/generations", "speaker": "audio/speech", "guardian": "moderations"}
SOUND = head(200, content_type="audio/mpeg", content_length="10")
LARGE = b64encode(bytes(3_000_000)).decode()


async def asked(stage: Stage, body: Json) -> tuple[int, bytes]:
    """Status and body of the answer. Raises ClientPayloadError where it is cut off."""
    async with aiohttp.ClientSession(headers=stage.running.headers) as client:
        url = f"{stage.running.base_url}/{PATHS[body['model']]}"
        async with client.post(url, json=body) as answer:
            return answer.status, await answer.read()


@pytest.mark.parametrize("end", [Cut, Reset], ids=["cut", "reset"])
async def test_speech_that_breaks_off_breaks_its_client_off_and_is_charged_whole(stage: Stage, end: End) -> None:
    # Rows 5 and 6: nothing within the bytes could say that they are not all.
    stage.upstream.raw(SOUND, b"sound", end)

    with pytest.raises(aiohttp.ClientPayloadError):
        await asked(stage, SPOKEN)

    [record] = await stage.records()
    assert (record.status, record.basis) == ("incomplete", "estimated")
    assert record.characters == len(SPOKEN["input"])
    assert record.completion_tokens > 0


async def test_whoever_leaves_while_it_is_spoken_pays_for_what_is_spoken(stage: Stage) -> None:
    # Row 33
    stage.upstream.raw(SOUND, b"sound", Hang)
    async with (
        aiohttp.ClientSession(headers=stage.running.headers) as client,
        client.post(f"{stage.running.base_url}/audio/speech", json=SPOKEN) as answer,
    ):
        assert await answer.content.readexactly(5) == b"sound"
        assert answer.headers["content-type"] == "audio/mpeg"

    await stage.upstream.requests[0].gone.wait()
    assert await stage.told() == [("incomplete", "estimated", "client_disconnected")]


async def test_speech_that_is_no_sound_is_not_passed_on(stage: Stage) -> None:
    # Row 17
    stage.upstream.raw(head(200, content_type="text/html", content_length="6"), b"<html>")

    status, body = await asked(stage, SPOKEN)

    assert (status, orjson.loads(body)["error"]["code"]) == (502, "upstream_invalid_response")
    assert await stage.told() == [("failed", "estimated", "upstream_invalid_response")]


@pytest.mark.parametrize("body", [PICTURE, SPOKEN, MODERATED], ids=["picture", "speech", "moderation"])
async def test_what_an_upstream_refuses_costs_nothing(stage: Stage, body: Json) -> None:
    # Row 13
    stage.upstream.answers(error("It cannot be done.", "invalid_request_error", "moderation_blocked"), status=400)

    status, answer = await asked(stage, body)

    assert (status, orjson.loads(answer)["error"]["code"]) == (400, "moderation_blocked")
    [record] = await stage.records()
    assert told(record) == ("failed", "void", "moderation_blocked")
    assert record.total_tokens == record.images == record.characters == 0


@pytest.mark.parametrize(
    "body",
    [PICTURE, PICTURE | {"stream": True}, SPOKEN, MODERATED],
    ids=["picture", "streamed", "speech", "moderation"],
)
async def test_an_upstream_that_breaks_before_its_answer_is_asked_again(stage: Stage, body: Json) -> None:
    # Row 11
    stage.upstream.answers(error("Boom"), status=500)

    status, _ = await asked(stage, body)

    assert status == 502
    assert await stage.told() == [("failed", "void", "upstream_error")] * 3


async def test_pictures_of_several_megabytes_are_passed_on_whole_and_as_events(stage: Stage) -> None:
    # Rows 14 and 15: a text of this size would be a fault.
    usage = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
    last = {"type": "image_generation.completed", "b64_json": LARGE, "usage": usage}
    stage.upstream.answers({"created": 1, "data": [{"b64_json": LARGE}] * 5, "usage": usage})
    stage.upstream.raw(head(200, content_type="text/event-stream"), event(last))

    whole = await asked(stage, PICTURE)
    streamed = await asked(stage, PICTURE | {"stream": True})

    assert len(orjson.loads(whole[1])["data"]) == 5
    assert streamed[1].startswith(b"event: image_generation.completed\ndata: ")
    assert streamed[1].endswith(b"\n\n")
    assert await stage.told() == [("completed", "reported", None)] * 2
    assert {record.images for record in await stage.records()} == {2}


async def test_a_picture_that_is_cut_is_an_error_for_its_client_and_is_charged(stage: Stage) -> None:
    # Row 5
    partial = {"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0}
    stage.upstream.raw(head(200, content_type="text/event-stream"), event(partial), Cut)

    _, body = await asked(stage, PICTURE | {"stream": True})

    last = events_in(body.split(b"\n\n", 1)[1])[-1]
    assert last["error"]["code"] == "upstream_invalid_response"
    [record] = await stage.records()
    assert (record.status, record.basis, record.images) == ("incomplete", "estimated", 2)
    assert record.completion_tokens > 0


async def test_an_error_within_the_events_of_a_picture_is_told(stage: Stage) -> None:
    # Row 18
    told = error("It cannot be shown.", "invalid_request_error", "moderation_blocked")
    refusal = {"type": "error", **told}
    stage.upstream.raw(head(200, content_type="text/event-stream"), event(refusal))

    status, body = await asked(stage, PICTURE | {"stream": True})

    assert status == 400
    assert orjson.loads(body)["error"]["code"] == "moderation_blocked"
    [record] = await stage.records()
    assert (record.status, record.images) == ("failed", 0)


async def test_a_type_that_no_header_can_carry_is_not_passed_on(stage: Stage) -> None:
    # Row 26
    foreign = "日本".encode().decode("latin-1")
    told = head(200, content_type=f"audio/{foreign}", content_disposition=foreign, content_length="5")
    stage.upstream.raw(told, b"sound")

    status, _ = await asked(stage, SPOKEN)

    assert status == 200
    assert await stage.told() == [("completed", "estimated", None)]


async def test_an_event_whose_type_would_break_its_frame_is_no_event(stage: Stage) -> None:
    # Row 9
    stage.upstream.raw(head(200, content_type="text/event-stream"), event({"type": "a\ndata: b"}))

    status, body = await asked(stage, PICTURE | {"stream": True})

    assert (status, orjson.loads(body)["error"]["code"]) == (502, "upstream_invalid_response")


async def test_whoever_leaves_before_a_picture_is_made_pays_for_the_prompt(stage: Stage) -> None:
    # Row 32
    stage.upstream.hangs()
    asking = asyncio.create_task(asked(stage, PICTURE))
    received = await stage.upstream.received()

    asking.cancel()

    await received.gone.wait()
    [record] = await stage.records()
    assert told(record) == ("failed", "estimated", "client_disconnected")
    assert record.prompt_tokens > 0


async def test_speech_that_is_an_error_in_json_is_told_as_one(stage: Stage) -> None:
    # Row 18
    stage.upstream.answers(error("It cannot be said.", "invalid_request_error", "voice_unknown"))

    status, body = await asked(stage, SPOKEN)

    assert (status, orjson.loads(body)["error"]["code"]) == (400, "voice_unknown")


@pytest.mark.parametrize("answer", ["whole", "in chunks"])
async def test_a_transcript_that_is_no_typed_stream_is_one_all_the_same(stage: Stage, answer: str) -> None:
    # whisper-1 takes no notice of `stream`, and some upstreams stream as chats do.
    text = "Hello there"
    if answer == "whole":
        stage.upstream.answers({"text": text, "usage": {"type": "duration", "seconds": 2}})
    else:
        stage.upstream.streams(text)
    form = aiohttp.FormData({"model": "listener", "stream": "true"})
    form.add_field("file", bytes(4096), filename="hello.mp3")

    async with aiohttp.ClientSession(headers=stage.running.headers) as client:
        url = f"{stage.running.base_url}/audio/transcriptions"
        async with client.post(url, data=form) as told:
            events = events_in(await told.read())

    assert told.headers["content-type"].startswith("text/event-stream")
    said = events[0].get("text") or events[0]["choices"][0]["delta"]["content"]
    assert said == text
    [record] = await stage.records()
    assert record.status == "completed"
    assert record.seconds > 0

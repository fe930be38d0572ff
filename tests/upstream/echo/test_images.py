"""Images: right PNGs of the size that was asked for, whole and streamed."""

import struct
import zlib
from base64 import b64decode
from itertools import pairwise

import openai
import pytest

from llm_backend.upstream.echo.pictures import colour
from tests.upstream.echo.asking import Asker, Json


def drawn(data: bytes) -> tuple[int, int, bytes]:
    """Width, height and colour of a PNG, each of whose chunks is checked."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    place, chunks = 8, {}
    while place < len(data):
        length, kind = struct.unpack(">I4s", data[place : place + 8])
        chunks[kind] = data[place + 8 : place + 8 + length]
        (told,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert told == zlib.crc32(kind + chunks[kind])
        place += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert zlib.decompress(chunks[b"IDAT"]) == bytes(height * (1 + -(-width // 8)))
    return width, height, chunks[b"PLTE"]


async def test_images_have_the_size_that_was_asked_for_and_a_colour_of_the_prompt(strict: openai.AsyncOpenAI) -> None:
    answer = await strict.images.generate(prompt="a red house", model="echo-image", n=2, size="64x32")

    assert answer.data is not None
    first, second = [drawn(b64decode(image.b64_json or "")) for image in answer.data]
    assert first == (64, 32, colour("a red house"))
    assert second[2] != first[2]


async def test_usage_is_tokens_and_none_where_the_model_costs_by_the_image(ask: Asker) -> None:
    tokens = await ask.post("/images/generations", {"prompt": "a red house", "size": "64x33"})
    counted = await ask.post("/images/generations", {"prompt": "a red house", "model": "echo-dall-e", "n": 3})

    assert tokens.json["usage"] == {
        "input_tokens": 3,
        "output_tokens": 4,
        "total_tokens": 7,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 3},
        "output_tokens_details": {"image_tokens": 4, "text_tokens": 0},
    }
    assert counted.json.keys() == {"created", "data"}
    assert [image["url"].partition(",")[0] for image in counted.json["data"]] == ["data:image/png;base64"] * 3


async def test_a_stream_shows_lighter_images_first_and_ends_with_usage(strict: openai.AsyncOpenAI) -> None:
    stream = await strict.images.generate(
        prompt="a tree", model="echo-image", size="8x8", partial_images=2, stream=True
    )

    events = [event async for event in stream]

    reds = [drawn(b64decode(event.b64_json))[2][0] for event in events]
    assert [event.type.rpartition(".")[2] for event in events] == ["partial_image", "partial_image", "completed"]
    assert all(before >= after for before, after in pairwise(reds))
    assert events[-1].type == "image_generation.completed"
    assert events[-1].usage.total_tokens == 3


async def test_each_event_bears_its_name_and_none_is_done(ask: Asker) -> None:
    answer = await ask.post("/images/generations", {"prompt": "a", "stream": True, "partial_images": 1})

    names = [line for line in answer.body.decode().split("\n") if line.startswith("event: ")]
    assert names == ["event: image_generation.partial_image", "event: image_generation.completed"]
    assert b"[DONE]" not in answer.body


async def test_files_are_edited_and_varied(strict: openai.AsyncOpenAI) -> None:
    house, tree = ("house.png", b"house", "image/png"), ("tree.png", b"tree", "image/png")

    edited = await strict.images.edit(image=[house, tree], prompt="a red house", model="echo-image", n=2, size="16x16")
    stream = await strict.images.edit(image=house, prompt="a", model="echo-image", partial_images=1, stream=True)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        varied, other = [
            await strict.images.create_variation(image=file, model="echo-dall-e", response_format="b64_json")
            for file in (house, tree)
        ]

    assert edited.usage is not None
    assert edited.usage.input_tokens_details.image_tokens == 32
    assert edited.data is not None
    assert len(edited.data) == 2
    assert [event.type async for event in stream] == ["image_edit.partial_image", "image_edit.completed"]
    assert varied.data != other.data


async def test_an_edit_may_be_asked_for_in_json(ask: Asker) -> None:
    images = [{"image_url": "https://example.test/a.png"}]

    answer = await ask.post("/images/edits", {"prompt": "a", "images": images})

    assert answer.json["usage"]["input_tokens_details"] == {"image_tokens": 16, "text_tokens": 1}


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"n": 11}, "n"),
        ({"size": "0x9"}, "size"),
        ({"size": "4097x1"}, "size"),
        ({"output_format": "webp"}, "output_format"),
        ({"partial_images": 4, "stream": True}, "partial_images"),
        ({"n": 2, "stream": True}, "stream"),
        ({"stream": True, "model": "echo-dall-e"}, "stream"),
    ],
)
async def test_what_cannot_be_drawn_is_refused(ask: Asker, wrong: Json, param: str) -> None:
    answer = await ask.post("/images/generations", {"prompt": "a"} | wrong)

    assert (answer.status, answer.error["param"]) == (400, param)


async def test_edits_and_variations_need_an_image_and_a_prompt_may_be_refused(ask: Asker) -> None:
    edit = await ask.post("/images/edits", {"prompt": "a"})
    variation = await ask.post("/images/variations", {})
    refused = await ask.post("/images/generations", {"prompt": "[[refuse]] a"})

    assert [answer.error["param"] for answer in (edit, variation)] == ["image", "image"]
    assert refused.error["code"] == "moderation_blocked"


async def test_a_stream_of_images_can_be_cut_after_the_first(ask: Asker) -> None:
    request = {"prompt": "[[fault fin after=1]] a", "stream": True, "partial_images": 2}

    answer = await ask.post("/images/generations", request)

    assert answer.body.count(b"event: ") == 1

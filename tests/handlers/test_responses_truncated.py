"""How much of what was said before is asked with: as much as a model reads."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from llm_backend.errors import Json
from tests.databases import ON_SQLITE
from tests.serving import serving

pytestmark = ON_SQLITE

SMALL = '[models.small]\nupstream_model = "echo"\ncontext_length = 400\n'
PICTURE = {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + "A" * 8000}
LONG = "word " * 120


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(database_url, tmp_path, toml=SMALL) as running,
        httpx.AsyncClient(base_url=running.base_url, headers=running.headers) as made,
    ):
        yield made


async def answered(client: httpx.AsyncClient, given: Json, **fields: Json) -> Json:
    answer = await client.post("/responses", json={"model": "small", "input": given, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_picture_takes_no_more_of_the_context_for_being_long(client: httpx.AsyncClient) -> None:
    looked = await answered(client, [{"role": "user", "content": [{"type": "input_text", "text": "Look."}, PICTURE]}])

    on = [
        await answered(client, "And?", previous_response_id=looked["id"], truncation=truncation)
        for truncation in ("disabled", "auto")
    ]

    alone = (await answered(client, "And?"))["usage"]["input_tokens"]
    assert all(each["usage"]["input_tokens"] > alone for each in on)


async def test_what_is_asked_now_leaves_less_room_to_what_was_said_before(client: httpx.AsyncClient) -> None:
    said = await answered(client, LONG, max_output_tokens=16)

    short = await answered(client, "And?", previous_response_id=said["id"], truncation="auto", max_output_tokens=16)
    long = await answered(client, LONG, previous_response_id=said["id"], truncation="auto", max_output_tokens=16)

    assert short["usage"]["input_tokens"] > 120
    assert long["usage"]["input_tokens"] == 120

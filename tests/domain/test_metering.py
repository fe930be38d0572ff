"""One record per attempt, priced by what was asked for under whatever name."""

from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import select

from llm_backend.errors import Json
from llm_backend.storage.tables import reservation
from llm_backend.storage.usage import TEXT_LIMIT, UsageRecord
from tests.databases import ON_SQLITE
from tests.serving import Running, serving

pytestmark = ON_SQLITE

PRICED = """
default_model = "small"
[models.small]
upstream_model = "echo"
input_microusd_per_million = 1_000_000
output_microusd_per_million = 2_000_000
[aliases]
cheap = "small"
"""


async def recorded(running: Running, path: str, body: Json) -> UsageRecord:
    async with (
        aiohttp.ClientSession(headers=running.headers) as client,
        client.post(f"{running.base_url}{path}", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        await answer.read()
    return (await running.records())[-1]


def saying(text: str, model: str = "echo", **fields: Json) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


@pytest.mark.parametrize("name", ["small", "cheap", "gpt-4"])
async def test_a_model_costs_the_same_by_each_of_its_names(database_url: str, tmp_path: Path, name: str) -> None:
    async with serving(database_url, tmp_path, toml=PRICED) as running:
        record = await recorded(running, "/chat/completions", saying("one two", name))

    assert (record.model, record.upstream_model, record.cost_microusd) == (name, "echo", 2 * 1 + 2 * 2)


async def test_an_operation_that_knows_no_stream_is_answered_whole_whatever_is_asked(running: Running) -> None:
    record = await recorded(running, "/embeddings", {"model": "echo-embedding", "input": "one two", "stream": True})

    assert (record.stream, record.status, record.prompt_tokens) == (False, "completed", 2)
    assert running.echo is not None
    assert len(running.echo.calls) == 1


async def test_a_report_far_below_what_was_sent_is_believed_and_flagged(running: Running) -> None:
    told = await recorded(running, "/chat/completions", saying("[[tokens prompt=1 completion=1]] " + "word " * 500))
    usual = await recorded(running, "/chat/completions", saying("word " * 500))

    assert (told.basis, told.prompt_tokens, told.usage_implausible) == ("reported", 1, True)
    assert not usual.usage_implausible


async def test_an_image_is_not_estimated_by_the_length_of_its_encoding(running: Running) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    parts = [{"type": "text", "text": "[[fault no-usage]] What is it?"}, image]

    record = await recorded(running, "/chat/completions", saying("", messages=[{"role": "user", "content": parts}]))

    assert (record.basis, record.usage_missing) == ("estimated", True)
    assert record.prompt_tokens < 100


async def test_the_end_user_is_written_down(running: Running) -> None:
    record = await recorded(running, "/chat/completions", saying("Hi", user="alice", safety_identifier="a1"))

    assert record.end_user == "a1"


async def test_of_a_name_that_goes_on_little_is_kept(running: Running) -> None:
    record = await recorded(running, "/chat/completions", saying("Hi", user="a" * 1_000_000))

    async with running.database.reading() as session:
        details = (await session.execute(select(reservation.c.details))).scalar_one()
    assert record.end_user == "a" * TEXT_LIMIT
    assert len(details) < 10 * TEXT_LIMIT

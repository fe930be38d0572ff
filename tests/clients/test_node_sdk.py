"""The official Node SDK, newest 7.x, on Node 22: the files of `node/`, each on an account of its own of one server."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.clients.processes import finished
from tests.serving import Running

SUITE = Path(__file__).with_name("node")
NODE = SUITE / "node_modules/.bin/node"

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        not NODE.exists() and os.environ.get("CI") != "true", reason="Node 22 and its SDK come with npm and `make test`"
    ),
]


async def passed(name: str, running: Running) -> None:
    """Runs the tests of `name` against the server; every one of them has to pass."""
    command = (NODE, "--test-reporter=tap", f"{name}.test.mjs")
    said = await finished(*command, cwd=SUITE, BASE_URL=running.base_url, KEY=running.key)
    counts = dict(re.findall(r"^# (\w+) (\d+)$", said.out, re.MULTILINE))
    assert (said.code, said.err) == (0, ""), said.out
    assert counts["pass"] == counts["tests"] != "0", said.out


async def endings(running: Running) -> Counter[tuple[str, str, str | None]]:
    """How often the account's requests ended how: status, basis of the charge, code of the error."""
    return Counter((each.status, each.basis, each.error_code) for each in await running.records())


async def test_an_ordinary_day_works_and_is_charged_as_reported(platform: Running) -> None:
    await passed("chat", platform)

    assert await endings(platform) == {("completed", "reported", None): 46}


async def test_what_lies_below_the_types_works_too_and_a_request_sent_twice_is_charged_once(platform: Running) -> None:
    await passed("further", platform)

    records = await platform.records()
    assert Counter(record.operation for record in records) == {
        "createChatCompletion": 4,
        "createCompletion": 2,
        "createEmbedding": 3,
    }
    assert await endings(platform) == {("completed", "reported", None): 9}


async def test_every_refusal_is_the_right_error_and_costs_nothing(platform: Running) -> None:
    await passed("refusals", platform)

    assert await endings(platform) == {("failed", "void", "model_not_found"): 1}


async def test_an_upstream_that_fails_and_a_client_that_leaves_are_told_as_what_they_are(platform: Running) -> None:
    await passed("faults", platform)

    assert await endings(platform) == {
        ("completed", "reported", None): 8,
        ("failed", "void", "rate_limit_exceeded"): 3,
        ("failed", "void", "upstream_error"): 3,
        ("failed", "estimated", "client_disconnected"): 2,
        ("incomplete", "estimated", "client_disconnected"): 2,
        ("incomplete", "estimated", "upstream_unreachable"): 3,
        ("incomplete", "estimated", "upstream_error"): 3,
        ("incomplete", "estimated", "upstream_invalid_response"): 3,
        ("incomplete", "reported", "upstream_invalid_response"): 1,
    }


async def test_pictures_sounds_and_judgements_come_whole_streamed_and_from_files(platform: Running) -> None:
    await passed("media", platform)

    records = await platform.records()
    assert {record.status for record in records} == {"completed"}
    assert Counter(record.operation for record in records) == {
        "createModeration": 2,
        "createImage": 6,
        "createImageEdit": 2,
        "createImageVariation": 1,
        "createSpeech": 6,
        "createTranscription": 6,
        "createTranslation": 1,
    }
    units = [(record.images, record.seconds, record.characters) for record in records]
    assert tuple(map(sum, zip(*units, strict=True))) == (11, 7, 66)


async def test_objects_that_the_upstream_keeps_are_made_found_and_forgotten(platform: Running) -> None:
    await passed("objects", platform)

    assert await platform.records() == []

"""Rows 19 and 20: whatever the network makes of a stream's bytes, the client gets the same events, each once."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from tests.faults.asking import asked
from tests.faults.pieces import Pieces, cut
from tests.faulty import DONE, chunk, event, usage
from tests.serving import Running, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = "Grüße, 世界! 🌍 \u2028 ok"
PLAIN = b"".join(event(chunk(sign)) for sign in SAID) + event(chunk(finish="stop")) + event(usage(3, 9)) + DONE

GOLDEN: dict[str, bytes] = {
    "plain": PLAIN,
    "carriage returns and line feeds": PLAIN.replace(b"\n", b"\r\n"),
    "carriage returns": PLAIN.replace(b"\n", b"\r"),
    "a byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "comments": PLAIN.replace(b"data: {", b": ping\n\ndata: {"),
    "foreign fields": PLAIN.replace(b"data: {", b"id: 7\nretry: 10\nevent: message\nfoo: bar\ndata: {"),
    "no space": PLAIN.replace(b"data: ", b"data:"),
    "many lines": PLAIN.replace(b"data: {", b"data: {\ndata: "),
    "two ends": PLAIN + DONE + DONE,
    "words after the end": PLAIN + event(chunk("more")),
    "no end mark": PLAIN.removesuffix(DONE),
    "an end mark without its blank line": PLAIN.removesuffix(b"\n\n"),
}
ROUNDS = 15


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cutting(
    migrated_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, Pieces]]:
    folder = tmp_path_factory.mktemp("pieces")
    shutil.copy(migrated_file, folder / "test.db")
    pieces = Pieces()
    async with serving(f"sqlite:///{folder / 'test.db'}", folder, transport=pieces) as running:
        yield running, pieces


async def came_through(running: Running, pieces: Pieces, content: bytes, places: list[int]) -> None:
    pieces.tell(cut(content, places))
    answer = await asked(running, stream=True)
    assert answer.is_done, places
    assert answer.said == SAID, places
    assert len(answer.events) == len(SAID) + 2, places


@pytest.mark.parametrize("golden", GOLDEN.values(), ids=GOLDEN)
async def test_a_stream_survives_any_cutting(cutting: tuple[Running, Pieces], golden: bytes) -> None:
    running, pieces = cutting
    random = Random(len(golden))  # noqa: S311 (places to cut)
    before = len(await running.records())

    for count in range(ROUNDS):
        places = sorted(random.sample(range(1, len(golden)), k=min(count * count, len(golden) - 1)))
        await came_through(running, pieces, golden, places)

    new = (await running.records())[before:]
    assert [(record.basis, record.completion_tokens) for record in new] == [("reported", 9)] * ROUNDS


ENDS: dict[str, Callable[[bytes], bytes]] = {
    "line feeds": lambda content: content,
    "both": lambda content: content.replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("written", ENDS.values(), ids=ENDS)
async def test_a_character_cut_at_any_byte_arrives_whole(
    cutting: tuple[Running, Pieces], written: Callable[[bytes], bytes]
) -> None:
    # Row 20
    running, pieces = cutting
    content = written(event(chunk("🌍é世", finish=None)) + event(chunk(finish="stop")) + DONE)

    for place in range(1, len(content)):
        pieces.tell(cut(content, [place]))
        answer = await asked(running, stream=True)
        assert (answer.said, answer.is_done) == ("🌍é世", True), place

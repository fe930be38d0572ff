"""Blocks that go past a reader that waits for them: in order with those that it takes, and as good a sign of life."""

import asyncio

import pytest

from llm_backend.streaming.pipe import Abandoned, Pipe
from llm_backend.streaming.sse import KEEP_ALIVE
from tests.streaming.test_pipe import pipe, rest_of, settle


class Way:
    """A short way to the same place as the reader's."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.is_open = True

    def take(self, block: bytes) -> bool:
        if self.is_open:
            self.sent.append(block)
        return self.is_open


async def reading(between: Pipe, way: Way) -> None:
    """Send what the reader gets as the short way does."""
    between.shorten(way.take)
    async for block in between:
        way.sent.append(block)


async def test_a_block_goes_past_a_reader_that_waits_which_sleeps_on() -> None:
    between, way = pipe(), Way()
    between.shorten(way.take)
    waiting = asyncio.ensure_future(anext(between))
    await settle()

    assert between.passes(b"a")

    await settle()
    assert way.sent == [b"a"]
    assert not waiting.done()
    between.close()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_no_block_goes_past_a_reader_that_does_not_wait() -> None:
    between, way = pipe(), Way()
    between.shorten(way.take)

    assert not between.passes(b"a")

    await between.put(b"a")
    assert not between.passes(b"b")
    assert way.sent == []


async def test_no_block_goes_past_one_that_the_reader_has_not_taken() -> None:
    between, way = pipe(), Way()
    sending = asyncio.create_task(reading(between, way))
    await settle()
    way.is_open = False
    assert not between.passes(b"a")
    await between.put(b"a")
    way.is_open = True

    assert not between.passes(b"b")

    await between.put(b"b")
    await settle()
    assert between.passes(b"c")
    between.close(b"d")
    await sending
    assert b"".join(way.sent) == b"abcd"


async def test_without_a_short_way_each_block_is_put() -> None:
    between = pipe()
    waiting = asyncio.ensure_future(anext(between))
    await settle()

    assert not between.passes(b"a")

    await between.put(b"a")
    assert await waiting == b"a"


async def test_nothing_passes_a_reader_that_has_gone() -> None:
    between, way = pipe(), Way()
    sending = asyncio.create_task(reading(between, way))
    await settle()

    between.abandon()

    assert not between.passes(b"a")
    between.shorten(way.take)
    assert not between.passes(b"a")
    with pytest.raises(Abandoned):
        await between.put(b"a")
    await sending
    assert way.sent == []


async def test_nothing_passes_after_the_last_word() -> None:
    between, way = pipe(), Way()
    sending = asyncio.create_task(reading(between, way))
    await settle()

    between.close(b"the end")

    assert not between.passes(b"late")
    await sending
    assert way.sent == [b"the end"]


async def test_what_passes_puts_the_keep_alive_off(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    between, way = Pipe(), Way()
    between.shorten(way.take)
    waiting = asyncio.ensure_future(anext(between))
    await settle()
    now += 10
    assert between.passes(b"a")

    now += 14
    await settle()
    assert not waiting.done()

    now += 1
    assert await waiting == KEEP_ALIVE
    between.close()


async def test_keep_alives_and_what_passes_come_whole_and_in_turn() -> None:
    between, way = pipe(keep_alive_seconds=0.005), Way()
    sending = asyncio.create_task(reading(between, way))

    for number in range(5):
        while way.sent.count(KEEP_ALIVE) <= number:  # noqa: ASYNC110 (the pipe has no event to tell that)
            await asyncio.sleep(0.001)
        assert between.passes(b"a")
    between.close()

    await sending
    assert way.sent.count(b"a") == 5
    assert set(way.sent) == {b"a", KEEP_ALIVE}


async def test_the_rest_is_read_as_ever_by_whoever_comes_late() -> None:
    between, way = pipe(limit_bytes=100), Way()
    await between.put(b"a")
    between.close(b"b")

    between.shorten(way.take)

    assert await rest_of(between) == b"ab"
    assert way.sent == []

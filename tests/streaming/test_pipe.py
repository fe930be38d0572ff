import asyncio

import pytest

from llm_backend.streaming.pipe import Abandoned, Pipe, Stalled
from llm_backend.streaming.sse import KEEP_ALIVE

LONG = 1000.0


def pipe(*, limit_bytes: int = 10, stall_seconds: float = LONG, keep_alive_seconds: float = LONG) -> Pipe:
    return Pipe(limit_bytes=limit_bytes, stall_seconds=stall_seconds, keep_alive_seconds=keep_alive_seconds)


async def rest_of(between: Pipe) -> bytes:
    return b"".join([block async for block in between])


async def settle() -> None:
    """Let every task that can go on go on; no time passes."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_put_comes_out_in_order_and_then_ends() -> None:
    between = pipe(limit_bytes=100)
    for block in (b"a", b"b", b"c"):
        await between.put(block)
    between.close()

    assert [block async for block in between] == [b"abc"]


async def test_a_reader_that_waits_gets_each_block_as_it_comes() -> None:
    between = pipe()
    for block in (b"a", b"b"):
        reading = asyncio.ensure_future(anext(between))
        await settle()

        await between.put(block)

        assert await reading == block


async def test_a_waiting_reader_ends_when_the_writer_closes() -> None:
    between = pipe()
    reading = asyncio.create_task(rest_of(between))
    await settle()

    between.close()

    assert await reading == b""


async def test_much_that_waits_is_taken_in_whole_blocks_of_bounded_size() -> None:
    between = Pipe()
    for number in range(40):
        await between.put(bytes([number]) * 5000)
    between.close()

    taken = [block async for block in between]

    assert b"".join(taken) == b"".join(bytes([number]) * 5000 for number in range(40))
    assert all(len(block) <= 65_536 and len(block) % 5000 == 0 for block in taken)


async def test_a_full_pipe_makes_the_writer_wait_until_the_reader_takes() -> None:
    between = pipe(limit_bytes=10)
    await between.put(b"0123456789")
    writing = asyncio.create_task(between.put(b"x"))
    await settle()
    assert not writing.done()

    assert await anext(between) == b"0123456789"

    await writing
    assert await anext(between) == b"x"


async def test_a_block_over_the_limit_passes_alone() -> None:
    between = pipe(limit_bytes=1)

    await between.put(b"large")

    assert await anext(between) == b"large"


async def test_a_reader_that_takes_nothing_is_stalled() -> None:
    between = pipe(limit_bytes=1, stall_seconds=0.01)
    await between.put(b"a")

    with pytest.raises(Stalled):
        await between.put(b"b")

    between.close()
    assert await rest_of(between) == b"a"


async def test_a_slow_reader_is_not_stalled_while_it_takes_something(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    between = Pipe(limit_bytes=200_000, stall_seconds=60)
    for _ in range(4):
        await between.put(b"x" * 50_000)
    writing = asyncio.create_task(between.put(b"y" * 200_000))
    await settle()

    for _ in range(4):
        assert not writing.done()
        now += 59
        await settle()
        assert await anext(between) == b"x" * 50_000
        await settle()

    await writing
    assert await anext(between) == b"y" * 200_000


async def test_a_writer_learns_that_the_reader_has_gone() -> None:
    between = pipe()

    between.abandon()

    with pytest.raises(Abandoned):
        await between.put(b"a")


async def test_a_writer_that_waits_for_room_learns_that_the_reader_has_gone() -> None:
    between = pipe(limit_bytes=1)
    await between.put(b"a")
    writing = asyncio.create_task(between.put(b"b"))
    await settle()

    between.abandon()

    with pytest.raises(Abandoned):
        await writing


async def test_an_abandoned_pipe_gives_nothing_more() -> None:
    between = pipe()
    await between.put(b"a")
    reading = asyncio.create_task(rest_of(between))
    between.abandon()
    between.abandon()

    assert await reading == b""


async def test_a_waiting_reader_ends_when_the_pipe_is_abandoned() -> None:
    between = pipe()
    reading = asyncio.create_task(rest_of(between))
    await settle()

    between.abandon()

    assert await reading == b""


async def test_the_last_word_has_room_in_a_full_pipe() -> None:
    between = pipe(limit_bytes=1)
    await between.put(b"a")

    between.close(b"the end")

    assert await rest_of(between) == b"athe end"


async def test_nobody_gets_the_last_word_of_an_abandoned_pipe() -> None:
    between = pipe()
    between.abandon()

    between.close(b"the end")

    assert await rest_of(between) == b""


async def test_nothing_may_follow_the_close() -> None:
    between = pipe()
    between.close()

    with pytest.raises(RuntimeError, match="closed"):
        await between.put(b"late")


async def test_a_second_reader_is_a_mistake() -> None:
    between = pipe()
    first = asyncio.ensure_future(anext(between))
    await settle()

    with pytest.raises(RuntimeError, match="reader already"):
        await anext(between)

    await between.put(b"a")
    assert await first == b"a"


async def test_a_second_writer_is_a_mistake() -> None:
    between = pipe(limit_bytes=1)
    await between.put(b"a")
    first = asyncio.create_task(between.put(b"b"))
    await settle()

    with pytest.raises(RuntimeError, match="writer already"):
        await between.put(b"c")

    assert await anext(between) == b"a"
    await first


async def test_a_silent_pipe_gives_keep_alives_and_then_the_block() -> None:
    between = pipe(keep_alive_seconds=0.005)

    assert [await anext(between) for _ in range(3)] == [KEEP_ALIVE] * 3

    await between.put(b"a")
    assert await anext(between) == b"a"
    between.close()


async def test_a_block_puts_the_keep_alive_off(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now)
    between = Pipe()
    first = asyncio.ensure_future(anext(between))
    await settle()
    now += 10
    await between.put(b"a")
    assert await first == b"a"
    second = asyncio.ensure_future(anext(between))

    now += 14
    await settle()
    assert not second.done()

    now += 1
    assert await second == KEEP_ALIVE
    between.close()


async def test_a_block_that_comes_with_the_keep_alive_takes_its_place() -> None:
    between = pipe()
    reading = asyncio.ensure_future(anext(between))
    await settle()
    between._last_sign -= LONG
    between._on_timer()

    await between.put(b"a")

    assert await reading == b"a"
    following = asyncio.create_task(rest_of(between))
    await settle()
    between.close()
    assert await following == b""


async def test_a_pipe_older_than_the_silence_gives_its_sign_at_once() -> None:
    between = pipe(keep_alive_seconds=0.0)

    assert await anext(between) == KEEP_ALIVE
    between.close()


async def test_a_closed_pipe_leaves_no_timer_behind() -> None:
    between = pipe()
    reading = asyncio.create_task(rest_of(between))
    await settle()
    timer = between._timer
    assert timer is not None

    between.close()
    await reading

    assert timer.cancelled()

import asyncio
import gc
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from tests.streaming.test_pipe import pipe, settle


async def test_a_cancelled_reader_loses_nothing() -> None:
    between = pipe()
    for moment in ("before", "after"):
        reading = asyncio.ensure_future(anext(between))
        await settle()
        if moment == "after":
            await between.put(b"a")  # the reader has been woken, but has not run yet
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading

    assert await anext(between) == b"a"


async def test_a_cancelled_writer_put_nothing_and_the_next_may() -> None:
    between = pipe(limit_bytes=1)
    await between.put(b"a")
    writing = asyncio.create_task(between.put(b"b"))
    await settle()
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    next_one = asyncio.create_task(between.put(b"c"))

    taken = [await anext(between), await anext(between)]

    await next_one
    assert taken == [b"a", b"c"]


async def test_a_writer_cancelled_as_it_stalls_leaves_no_unfetched_exception() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    between = pipe(limit_bytes=1)
    await between.put(b"a")
    writing = asyncio.create_task(between.put(b"b"))
    await settle()
    assert between._room is not None
    between._room.set_result(False)
    writing.cancel()
    with suppress(asyncio.CancelledError):
        await writing
    gc.collect()

    assert complaints == []


async def hand_over(blocks: list[bytes], limit_bytes: int, cancels: list[int]) -> bytes:
    """Pass `blocks` through a pipe whose reader is cancelled and begins again after each of `cancels` steps."""
    between = pipe(limit_bytes=limit_bytes)
    received = bytearray()

    async def write() -> None:
        for block in blocks:
            await between.put(block)
        between.close()

    async def read() -> None:
        async for block in between:
            received.extend(block)

    writing = asyncio.create_task(write())
    for steps in cancels:
        reading = asyncio.create_task(read())
        for _ in range(steps):
            await asyncio.sleep(0)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
    await read()
    await writing
    return bytes(received)


@given(
    st.lists(st.binary(min_size=1, max_size=8), max_size=30),
    st.integers(1, 20),
    st.lists(st.integers(0, 4), max_size=10),
)
def test_nothing_is_lost_doubled_or_reordered_however_often_the_reader_is_cancelled(
    blocks: list[bytes], limit_bytes: int, cancels: list[int]
) -> None:
    assert asyncio.run(hand_over(blocks, limit_bytes, cancels)) == b"".join(blocks)

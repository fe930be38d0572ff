import asyncio
from unittest.mock import Mock

import pytest

from llm_backend.errors import (
    UpstreamTimedOut,
)
from llm_backend.upstream.deadlines import Timeouts, Watch
from llm_backend.upstream.wire import Outbound
from tests.upstream.guarding import PIECE, STREAM, STREAM_HEAD, WHOLE, failure, guarded, reading_failure
from tests.upstream.raw import hang, raw_upstream


@pytest.mark.parametrize(
    ("call", "timeouts"),
    [(WHOLE, Timeouts(first_byte=0.05)), (STREAM, Timeouts(first_byte_streamed=0.05))],
    ids=["whole", "streamed"],
)
async def test_an_upstream_that_never_begins_is_timed_out(call: Outbound, timeouts: Timeouts) -> None:
    async with raw_upstream(then=hang) as raw, guarded(raw, timeouts) as upstream:
        error = await failure(upstream, call)
        await raw.left.wait()

    assert isinstance(error, UpstreamTimedOut)
    assert (error.outcome_unknown, error.retriable, error.should_retry) == (True, False, False)


async def test_an_upstream_that_falls_silent_is_timed_out() -> None:
    async with (
        raw_upstream(STREAM_HEAD + PIECE, then=hang) as raw,
        guarded(raw, Timeouts(idle=0.05)) as upstream,
    ):
        error = await reading_failure(upstream)
        await raw.left.wait()

    assert isinstance(error, UpstreamTimedOut)
    assert error.outcome_unknown


async def trickle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(PIECE)
        await writer.drain()
        await asyncio.sleep(0.005)


async def test_a_trickle_inside_the_idle_limit_ends_at_the_total() -> None:
    async with (
        raw_upstream(STREAM_HEAD, then=trickle) as raw,
        guarded(raw, Timeouts(idle=60, total_streamed=0.2)) as upstream,
    ):
        error = await reading_failure(upstream)

    assert isinstance(error, UpstreamTimedOut)


async def test_a_trickled_whole_answer_ends_at_its_own_total() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    async with raw_upstream(head, then=trickle) as raw, guarded(raw, Timeouts(idle=60, total=0.2)) as upstream:
        assert isinstance(await reading_failure(upstream, WHOLE), UpstreamTimedOut)


async def test_a_reader_that_takes_its_time_is_not_the_upstreams_silence() -> None:
    async with (
        raw_upstream(STREAM_HEAD + PIECE + b"0\r\n\r\n") as raw,
        guarded(raw, Timeouts(idle=0.05)) as upstream,
    ):
        reply = await upstream.open(STREAM)
        await asyncio.sleep(0.15)

        assert await reply.read() == b"data: "
        await reply.close()


async def test_a_total_that_passes_while_nobody_reads_is_told_at_the_next_read() -> None:
    async with (
        raw_upstream(STREAM_HEAD + PIECE, then=hang) as raw,
        guarded(raw, Timeouts(total_streamed=0.05)) as upstream,
    ):
        reply = await upstream.open(STREAM)
        await asyncio.sleep(0.1)
        with pytest.raises(UpstreamTimedOut):
            await anext(reply.chunks())


async def test_a_cancelled_reader_is_cancelled_and_not_timed_out() -> None:
    async with raw_upstream(STREAM_HEAD, then=hang) as raw, guarded(raw, Timeouts(idle=60)) as upstream:
        reply = await upstream.open(STREAM)
        reading = asyncio.create_task(reply.read())
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await reply.close()
        await raw.left.wait()


async def test_a_read_costs_no_timer_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = b"".join(b"1\r\n%d\r\n" % (number % 10) for number in range(1000))
    async with raw_upstream(STREAM_HEAD + pieces + b"0\r\n\r\n") as raw, guarded(raw) as upstream:
        reply = await upstream.open(STREAM)
        loop = asyncio.get_running_loop()
        set_timer = Mock(wraps=loop.call_at)
        monkeypatch.setattr(loop, "call_at", set_timer)
        body = await reply.read()
        await reply.close()

    assert len(body) == 1000
    set_timer.assert_not_called()


async def test_somebody_elses_cancellation_at_the_same_moment_goes_first() -> None:
    async def wait() -> None:
        with watch:
            await asyncio.Event().wait()

    watch = Watch(idle=60, end=asyncio.get_running_loop().time() + 60)
    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    watch.stop()
    watch._end = 0.0
    watch._look()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting

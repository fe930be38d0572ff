"""The load generator counts what came, and everything that was missing or wrong."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks import answers
from benchmarks.answers import Stream
from benchmarks.loader import Loader
from benchmarks.plan import Outcome, Plan, written
from benchmarks.upstream import StandIn

THREE = Stream(chunks=3)
EVENTS = answers.events(3, has_usage=True)


def http(body: bytes, status: bytes = b"200 OK", *further: bytes) -> bytes:
    head = b"\r\n".join((b"HTTP/1.1 %b" % status, b"content-length: %d" % len(body), *further))
    return head + b"\r\n\r\n" + body


class Planted(StandIn):
    """Answers every request with the same bytes; without any it hangs up."""

    reply = b""

    def _answer(self, request: bytes) -> None:
        if self.reply:
            self._transport.write(self.reply)
        else:
            self.close()


class Silent(StandIn):
    """Hears every request out."""

    def _answer(self, request: bytes) -> None:
        pass


@asynccontextmanager
async def serving(protocol: type[StandIn]) -> AsyncIterator[str]:
    made: list[StandIn] = []

    def accepted() -> StandIn:
        made.append(protocol())
        return made[-1]

    server = await asyncio.get_running_loop().create_server(accepted, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    for each in made:
        each.close()
    await asyncio.sleep(0)  # a transport closes its socket in the loop's next turn


async def outcome(protocol: type[StandIn], stream: Stream | None = None, seconds: float = 30) -> Outcome:
    """Of four requests by two connections."""
    async with serving(protocol) as url:
        return await Loader(Plan(url, ("a-key",), 2, 4, stream=stream, timeout_seconds=seconds)).run()


async def planted(reply: bytes, stream: Stream | None = None) -> dict[str, int]:
    """The failures of four requests that are all answered so."""
    return (await outcome(type("Replying", (Planted,), {"reply": reply}), stream)).failures


async def test_whole_answers_as_they_should_be_are_no_failures() -> None:
    done = await outcome(StandIn)

    assert (done.requests, done.failures) == (4, {})
    assert 0 < done.p50_ms <= done.p99_ms


@pytest.mark.parametrize("stream", [THREE, Stream(3, has_usage=False), Stream(3, pace_ms=1)])
async def test_streams_as_they_should_be_have_every_chunk_counted(stream: Stream) -> None:
    done = await outcome(StandIn, stream)

    assert (done.chunks, done.failures) == (12, {})
    assert 0 < done.first_p50_ms <= done.p50_ms


async def test_another_status_is_a_failure() -> None:
    assert await planted(http(answers.whole(), b"503 Service Unavailable")) == {"status 503": 4}


async def test_another_text_is_a_failure() -> None:
    assert await planted(http(answers.whole().replace(b"measured", b"mistaken"))) == {"another answer": 4}


async def test_what_is_no_answer_is_a_failure() -> None:
    assert await planted(http(b'{"choices": []}')) == {"not an answer": 4}


async def test_what_is_not_http_is_a_failure() -> None:
    assert await planted(b"something else\r\n\r\n") == {"not HTTP": 4}


async def test_a_connection_that_ends_before_the_answer_is_a_failure() -> None:
    assert await planted(b"") == {"connection lost": 4}


async def test_a_connection_that_ends_with_each_good_answer_is_none() -> None:
    assert await planted(http(answers.whole(), b"200 OK", b"connection: close")) == {}


async def test_nobody_listening_is_a_failure() -> None:
    async with serving(StandIn) as url:
        pass
    assert (await Loader(Plan(url, ("a-key",), 2, 4)).run()).failures == {"ConnectionRefusedError": 4}


async def test_no_answer_in_time_is_a_failure() -> None:
    assert (await outcome(Silent, seconds=0.01)).failures == {"no answer in time": 4}


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ((EVENTS[0], *EVENTS[2:]), "2 chunks of 3"),
        ((*EVENTS[:2], *EVENTS[1:]), "4 chunks of 3"),
        ((EVENTS[1], EVENTS[0], *EVENTS[2:]), "other chunks"),
        (EVENTS[:-1], "no [DONE]"),
        ((*EVENTS[:-2], EVENTS[-1]), "no usage"),
        ((b"data: nothing\n\n", *EVENTS), "not an event"),
        ((), "no [DONE]"),
    ],
)
async def test_a_stream_that_lacks_something_is_a_failure(events: tuple[bytes, ...], fault: str) -> None:
    assert await planted(http(b"".join(events)), THREE) == {fault: 4}


async def test_comments_between_the_events_are_no_failure() -> None:
    assert await planted(http(b": keep-alive\n\n" + b"".join(EVENTS)), THREE) == {}


@pytest.mark.parametrize("stream", [None, THREE])
def test_a_plan_is_read_as_it_was_written(stream: Stream | None) -> None:
    plan = Plan("http://127.0.0.1:1/v1", ("one", "two"), 16, 100, stream=stream, watched=1)

    assert Plan.read(written(plan)) == plan


async def test_an_outcome_is_read_as_it_was_written() -> None:
    done = await outcome(Silent, seconds=0.01)

    assert Outcome.read(written(done)) == done

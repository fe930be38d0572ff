import asyncio
import json

import pytest

from llm_backend.errors import (
    Overloaded,
    UpstreamAuthFailed,
    UpstreamBroken,
    UpstreamFailed,
    UpstreamInvalid,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnreachable,
)
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.wire import Outbound
from tests.upstream.guarding import EVENTS, KEY, PIECE, STREAM, STREAM_HEAD, WHOLE, failure, guarded, reading_failure
from tests.upstream.raw import Answer, answer, finish, hang, raw_upstream, reset


async def test_a_whole_answer_passes() -> None:
    async with raw_upstream(answer(b'{"a":1}', "content-type: Application/JSON")) as raw, guarded(raw) as upstream:
        reply = await upstream.open(WHOLE)

        assert (reply.status, await reply.read()) == (200, b'{"a":1}')
        await reply.close()


async def test_a_stream_passes_as_it_comes() -> None:
    async with raw_upstream(STREAM_HEAD + PIECE + b"0\r\n\r\n") as raw, guarded(raw) as upstream:
        reply = await upstream.open(STREAM)

        assert [chunk async for chunk in reply.chunks()] == [b"data: "]
        assert reply.headers["content-type"].startswith("text/event-stream")
        await reply.close()


@pytest.mark.parametrize(
    ("call", "headers"),
    [
        (WHOLE, ["content-type: text/html"]),
        (WHOLE, ["content-type: text/event-stream"]),
        (WHOLE, ["x: no content type"]),
        (WHOLE, ["content-type: application/json", "content-encoding: gzip"]),
        (WHOLE._replace(accept="text/plain"), ["content-type: text/html"]),
        (STREAM, ["content-type: text/html"]),
        (STREAM, ["content-type: application/json"]),
        (STREAM, [EVENTS, "content-encoding: br"]),
    ],
)
async def test_a_success_of_the_wrong_shape_is_no_answer(call: Outbound, headers: list[str]) -> None:
    async with raw_upstream(answer(b"{]", *headers)) as raw, guarded(raw) as upstream:
        error = await failure(upstream, call)

    assert type(error) is UpstreamInvalid
    assert (error.outcome_unknown, error.retriable) == (True, False)


async def test_an_error_in_json_on_a_streams_request_is_that_error() -> None:
    body = json.dumps({"error": {"message": "Too long.", "type": "invalid_request_error", "code": "too_long"}}).encode()
    async with raw_upstream(answer(body)) as raw, guarded(raw) as upstream:
        error = await failure(upstream, STREAM)

    assert isinstance(error, UpstreamRejected)
    assert (error.upstream_status, error.code, str(error)) == (400, "too_long", "Too long.")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("302 Found", UpstreamInvalid),
        ("400 Bad Request", UpstreamRejected),
        ("401 Unauthorized", UpstreamAuthFailed),
        ("429 Too Many Requests", UpstreamRejected),
        ("503 Service Unavailable", UpstreamBroken),
    ],
)
async def test_other_statuses_become_errors_and_carry_no_key(status: str, kind: type) -> None:
    body = json.dumps({"error": {"message": f"Your key {KEY} is odd.", "code": KEY}}).encode()
    async with (
        raw_upstream(answer(body, "location: http://169.254.169.254/", status=status)) as raw,
        guarded(raw) as upstream,
    ):
        error = await failure(upstream)

    assert type(error) is kind
    assert KEY not in json.dumps(error.envelope())
    assert len(raw.heads) == 1


@pytest.mark.parametrize("then", [hang, reset, finish])
async def test_an_error_whose_body_does_not_come_is_known_by_its_status(
    then: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_backend.upstream.upstream.REFUSAL_SECONDS", 0.05)
    async with raw_upstream(answer(b"{", status="503 Down", length=9), then=then) as raw, guarded(raw) as upstream:
        error = await failure(upstream)

    assert isinstance(error, UpstreamBroken)


async def test_an_endless_error_is_read_at_its_beginning_only() -> None:
    async with (
        raw_upstream(answer(b"x" * 200_000, status="400 Bad Request", length=2**40), then=hang) as raw,
        guarded(raw) as upstream,
    ):
        assert isinstance(await failure(upstream), UpstreamRejected)


@pytest.mark.parametrize(
    ("then", "kind"), [(reset, UpstreamUnreachable), (finish, UpstreamInvalid)], ids=["reset", "early end"]
)
async def test_an_answer_that_breaks_off_says_how(then: Answer, kind: type) -> None:
    async with raw_upstream(STREAM_HEAD + PIECE, then=then) as raw, guarded(raw) as upstream:
        reply = await upstream.open(STREAM)
        with pytest.raises(UpstreamFailed) as caught:
            await reply.read()

    assert type(caught.value) is kind


async def test_an_answer_of_more_than_sixteen_megabytes_is_refused_and_cut() -> None:
    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"x" * 65536)
            await writer.drain()

    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1073741824\r\n\r\n"
    async with raw_upstream(head, then=flood) as raw, guarded(raw) as upstream:
        assert isinstance(await reading_failure(upstream, WHOLE), UpstreamInvalid)
        await raw.left.wait()


async def test_a_dead_upstream_is_left_alone_and_says_so() -> None:
    async with raw_upstream(answer(b"", status="500 Broken")) as raw, guarded(raw) as upstream:
        for _ in range(20):
            await failure(upstream)
        with pytest.raises(Overloaded):
            await upstream.open(WHOLE)

        assert upstream.health() == {"name": "main", "circuit": "open", "last_error": "upstream_error"}
    assert len(raw.heads) == 20


async def test_streams_that_break_off_open_the_circuit_too() -> None:
    async with raw_upstream(STREAM_HEAD + PIECE, then=reset) as raw, guarded(raw) as upstream:
        for _ in range(10):
            await reading_failure_or_open(upstream)

        assert upstream.health()["circuit"] == "open"


async def reading_failure_or_open(upstream: Upstream) -> None:
    """Ask and read; a reset may overtake the head, and both ways the attempt has failed."""
    with pytest.raises(UpstreamUnreachable):
        await (await upstream.open(STREAM)).read()


async def test_a_cancelled_request_says_nothing_of_the_upstream() -> None:
    async with raw_upstream(then=hang) as raw, guarded(raw) as upstream:
        for _ in range(30):
            opening = asyncio.create_task(upstream.open(WHOLE))
            await asyncio.sleep(0)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)

        assert upstream.health() == {"name": "main", "circuit": "closed", "last_error": None}


@pytest.mark.parametrize("call", [WHOLE, STREAM], ids=["whole", "streamed"])
async def test_a_call_may_have_to_end_sooner_than_the_upstream_must(call: Outbound) -> None:
    async with raw_upstream(then=hang) as raw, guarded(raw) as upstream:
        soon = call._replace(deadline=asyncio.get_running_loop().time() + 0.05)
        error = await failure(upstream, soon)

    assert type(error) is UpstreamTimedOut


async def test_the_deadline_of_a_call_holds_for_its_body_too() -> None:
    async with raw_upstream(STREAM_HEAD + PIECE, then=hang) as raw, guarded(raw) as upstream:
        error = await reading_failure(upstream, STREAM._replace(deadline=asyncio.get_running_loop().time() + 0.5))

    assert type(error) is UpstreamTimedOut


async def test_a_late_deadline_lengthens_nothing() -> None:
    late = WHOLE._replace(deadline=asyncio.get_running_loop().time() + 1e6)
    async with raw_upstream(then=hang) as raw, guarded(raw, Timeouts(first_byte=0.05)) as upstream:
        assert type(await failure(upstream, late)) is UpstreamTimedOut

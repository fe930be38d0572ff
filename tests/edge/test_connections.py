from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.edge.connections import Head
from llm_backend.edge.guard import Patience
from llm_backend.edge.server import Server
from llm_backend.edge.serving import ConnectionLimits, Parser, ServerTimes, Serving
from llm_backend.errors import InvalidRequest
from tests.edge.small_app import Small
from tests.edge.wire import GOOD, Wire, running, wire

Start = Callable[..., Server]

STREAM = b"GET /v1/stream HTTP/1.1\r\nHost: here\r\n\r\n"
HALF_HEAD = b"GET /v1/models HTTP/1.1\r\nHost: he"
HALF_BODY = b"POST /v1/models HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"


@pytest.fixture(params=["httptools", "h11"])
def parser(request: pytest.FixtureRequest) -> Parser:
    chosen: Parser = request.param
    return chosen


@pytest.fixture
def start(parser: Parser) -> Iterator[Start]:
    with ExitStack() as stack:

        def started(small: Small, *, keep_alive_seconds: int = 60, **limits: float) -> Server:
            times = ServerTimes(keep_alive_seconds=keep_alive_seconds, grace_seconds=0.1)
            serving = Serving(port=0, parser=parser, limits=ConnectionLimits(**limits), times=times)  # type: ignore[arg-type]
            context: AbstractContextManager[Server] = running(small, serving)
            return stack.enter_context(context)

        yield started


@pytest.mark.parametrize("sent", [b"", b"G", HALF_HEAD, b"\r\n", b"GET / HTTP/1.1\r\n"])
def test_a_head_that_does_not_end_is_closed(start: Start, sent: bytes) -> None:
    server = start(Small(), head_seconds=0.2)
    with wire(server.port) as client:
        client.send(sent)

        assert client.rest() == b""


@pytest.mark.parametrize("sent", [HALF_HEAD, b"\r\n"])
def test_a_second_head_that_does_not_end_is_closed(start: Start, sent: bytes) -> None:
    server = start(Small(), head_seconds=0.2)
    with wire(server.port) as client:
        client.send(GOOD)
        assert client.answer().status == 200
        client.send(sent)

        assert client.rest() == b""


def test_an_idle_connection_is_kept_for_its_time_and_then_closed(start: Start) -> None:
    server = start(Small(), keep_alive_seconds=1, head_seconds=0.2)
    with wire(server.port) as client:
        for _ in range(2):
            client.send(GOOD)
            assert client.answer().status == 200

        assert client.rest() == b""


def test_a_body_that_stops_is_answered_408_and_closed(start: Start) -> None:
    server = start(Small(patience=Patience(body_progress_seconds=0.2, linger_seconds=0.1)))
    with wire(server.port) as client:
        client.send(HALF_BODY)

        answer = client.answer()

        assert (answer.status, answer.error()["code"]) == (408, "request_timeout")
        assert client.rest() == b""


def test_a_byte_now_and_then_does_not_keep_a_body_alive(start: Start) -> None:
    server = start(Small(patience=Patience(body_progress_seconds=0.3, linger_seconds=0.1)))
    head = b"POST /v1/models HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
    with wire(server.port) as client:
        client.send(head)
        while not client.has_answer(within_seconds=0.05):
            client.send(b" ")

        assert client.answer().status == 408


def test_a_stream_survives_the_deadline_of_heads(start: Start) -> None:
    small = Small()
    server = start(small, head_seconds=0.1)
    with wire(server.port) as client, wire(server.port) as idle:
        client.send(STREAM)
        _read_to_first_event(client)
        assert idle.rest() == b""  # by now the deadline has passed, and would have closed the stream too

        small.let_go()

        assert b"data: last" in client.chunk()


def test_a_request_behind_a_stream_is_answered_after_it(start: Start) -> None:
    small = Small()
    server = start(small)
    with wire(server.port) as client:
        client.send(STREAM + GOOD)
        _read_to_first_event(client)
        small.let_go()

        assert b"data: last" in client.chunk()
        assert client.line() == b"0\r\n"
        assert client.line() == b"\r\n"
        assert client.answer().body.startswith(b'{"data"')


def test_garbage_behind_a_stream_never_gets_into_it(start: Start) -> None:
    small = Small()
    server = start(small, linger_seconds=0.1)
    with wire(server.port) as client:
        client.send(STREAM)
        _read_to_first_event(client)
        client.send(b"\x00garbage\r\n\r\n")
        small.let_go()

        stream, _, _ = client.rest().partition(b"0\r\n\r\n")

        assert b"HTTP/1.1" not in stream


def test_a_departure_is_noticed_behind_pipelined_requests(start: Start) -> None:
    small = Small()
    server = start(small)
    client = Wire(server.port)
    client.send(STREAM + GOOD)
    _read_to_first_event(client)

    client.close()

    assert small.departed.wait(5)


def test_one_address_gets_so_many_connections_and_no_more(start: Start) -> None:
    server = start(Small(), per_address=2)
    with wire(server.port) as first, wire(server.port) as second:
        for client in (first, second):
            client.send(GOOD)
            assert client.answer().status == 200
        with wire(server.port) as third:
            third.send(GOOD)
            assert third.rest() == b""
    with wire(server.port) as fourth:
        fourth.send(GOOD)
        assert fourth.answer().status == 200


def _read_to_first_event(client: Wire) -> None:
    while client.line() != b"\r\n":
        pass
    assert client.chunk() == b"data: first\n\n"


PIECES = (
    b"GET / HTTP/1.1",
    b"Host: here",
    b"\r\n",
    b"\r",
    b"\n",
    b" ",
    b"\t",
    b"\x00",
    b"\x7f",
    b"a",
    b"content-length: 1",
    b",",
)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_a_head_that_comes_at_once_is_judged_as_one_that_comes_byte_by_byte(data: bytes) -> None:
    assert _judged([data]) == _judged([data[at : at + 1] for at in range(len(data))])


def _judged(chunks: list[bytes]) -> str:
    """What the first chunk that decides it says: a head that ends, or what is wrong with it."""
    seen = Head()
    try:
        return "ends" if any(seen.take(chunk) for chunk in chunks) else "goes on"
    except InvalidRequest as error:
        return str(error)

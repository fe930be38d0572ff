"""Answers as they are written to their connection, byte by byte."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.types import Message
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from llm_backend.edge.writing import Writing


class Wire(asyncio.Transport):
    """Keeps what is written: one entry for what goes out at once."""

    def __init__(self) -> None:
        super().__init__()
        self.packets: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.packets.append(bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.packets.append(b"".join(list_of_data))

    def resume_reading(self) -> None:
        """Nothing was paused."""

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def _cycle(wire: Wire, method: str = "GET", version: str = "1.1") -> RequestResponseCycle:
    scope: Any = {"type": "http", "method": method, "http_version": version}
    log = logging.getLogger("tests")
    return RequestResponseCycle(
        scope, wire, FlowControl(wire), log, log, False, [(b"date", b"today")], asyncio.Event(),
        expect_100_continue=False, keep_alive=version != "1.0", on_response=lambda: None,
    )  # fmt: skip


def _head(*headers: tuple[bytes, bytes], status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def _body(body: bytes, *, is_last: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": not is_last}


async def _written(cycle: RequestResponseCycle, *messages: Message) -> None:
    writing = Writing(cycle)
    for message in messages:
        await writing.send(message)


async def test_head_and_body_are_one_packet_where_the_length_is_told() -> None:
    wire = Wire()
    cycle = _cycle(wire)

    await _written(cycle, _head((b"content-length", b"2"), (b"x-a", b"b")), _body(b"{}"))

    assert wire.packets == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\nx-a: b\r\n\r\n{}"]
    assert (cycle.response_complete, wire.is_closed) == (True, False)


async def test_a_head_without_a_length_does_not_wait_for_its_chunks() -> None:
    wire = Wire()

    await _written(_cycle(wire), _head(), _body(b"0123456789abcdef", is_last=False), _body(b"z"))

    assert wire.packets == [
        b"HTTP/1.1 200 OK\r\ndate: today\r\ntransfer-encoding: chunked\r\n\r\n",
        b"10\r\n0123456789abcdef\r\n",
        b"1\r\nz\r\n0\r\n\r\n",
    ]


async def test_a_client_of_http_1_0_gets_no_chunks_but_the_end_of_the_connection() -> None:
    wire = Wire()

    await _written(_cycle(wire, version="1.0"), _head(), _body(b"a", is_last=False), _body(b"b"))

    assert wire.packets == [b"HTTP/1.1 200 OK\r\ndate: today\r\nconnection: close\r\n\r\n", b"a", b"b"]
    assert wire.is_closed


async def test_an_answer_that_closes_says_so_once() -> None:
    wire = Wire()

    await _written(_cycle(wire), _head((b"content-length", b"0"), (b"connection", b"close")), _body(b""))

    assert wire.packets == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"]
    assert wire.is_closed


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_what_has_no_body_is_written_without_one(method: str, status: int) -> None:
    wire = Wire()
    cycle = _cycle(wire, method)

    await _written(cycle, _head(status=status), _body(b"" if method == "GET" else b"never seen"))

    assert len(wire.packets) == 1
    assert wire.packets[0].endswith(b"date: today\r\n\r\n")
    assert cycle.response_complete


@pytest.mark.parametrize("bodies", [[_body(b"ab")], [_body(b"", is_last=False), _body(b"ab")], [_body(b"abcd")]])
async def test_a_body_of_another_length_than_told_is_refused(bodies: list[Message]) -> None:
    wire = Wire()

    with pytest.raises(RuntimeError, match="long"):
        await _written(_cycle(wire), _head((b"content-length", b"3")), *bodies)


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\x00"])
async def test_a_header_cannot_break_the_head(value: bytes) -> None:
    wire = Wire()

    with pytest.raises(RuntimeError, match="control"):
        await _written(_cycle(wire), _head((b"x-a", value)), _body(b""))

    assert wire.packets == []


@pytest.mark.parametrize("name", [b"a: b\r\nc", b"a b", b"A", b"", b"a\x00"])
async def test_a_header_has_a_name_of_http(name: bytes) -> None:
    wire = Wire()

    with pytest.raises(RuntimeError, match="name"):
        await _written(_cycle(wire), _head((name, b"b")), _body(b""))

    assert wire.packets == []


@pytest.mark.parametrize(
    "messages", [[_body(b"")], [_head(), _head()], [_head((b"content-length", b"0")), _body(b""), _body(b"")]]
)
async def test_messages_out_of_order_are_refused(messages: list[Message]) -> None:
    with pytest.raises(RuntimeError, match="order"):
        await _written(_cycle(Wire()), *messages)


async def test_nothing_is_written_to_a_client_that_has_gone() -> None:
    wire = Wire()
    cycle = _cycle(wire)
    cycle.disconnected = True

    await _written(cycle, _head(), _body(b"a"))

    assert wire.packets == []


async def test_a_client_that_does_not_read_is_waited_for() -> None:
    wire = Wire()
    cycle = _cycle(wire)
    cycle.flow.pause_writing()

    writing = asyncio.create_task(_written(cycle, _head((b"content-length", b"0")), _body(b"")))
    await asyncio.sleep(0)
    before = list(wire.packets)
    cycle.flow.resume_writing()
    await writing

    assert (before, len(wire.packets)) == ([], 1)


CHUNKED = _head()


async def test_what_is_taken_within_a_body_in_chunks_is_one_of_them() -> None:
    wire = Wire()
    writing = Writing(_cycle(wire))
    await writing.send(CHUNKED)
    await writing.send(_body(b"one", is_last=False))

    assert writing.take(b"a second")

    await writing.send(_body(b"third"))
    assert wire.packets[1:] == [b"3\r\none\r\n", b"8\r\na second\r\n", b"5\r\nthird\r\n0\r\n\r\n"]
    assert writing.bytes_taken == len(b"a second")


async def test_nothing_is_taken_before_the_head_nor_behind_the_end() -> None:
    wire = Wire()
    writing = Writing(_cycle(wire))
    assert not writing.take(b"early")
    await writing.send(CHUNKED)
    await writing.send(_body(b""))
    before = list(wire.packets)

    assert not writing.take(b"late")

    assert wire.packets == before
    assert writing.bytes_taken == 0


@pytest.mark.parametrize(
    ("method", "version", "headers"),
    [("GET", "1.0", ()), ("GET", "1.1", ((b"content-length", b"5"),)), ("HEAD", "1.1", ())],
)
async def test_nothing_is_taken_where_the_body_is_not_in_chunks(method: str, version: str, headers: Any) -> None:
    wire = Wire()
    writing = Writing(_cycle(wire, method, version))
    await writing.send(_head(*headers))
    before = list(wire.packets)

    assert not writing.take(b"bytes")

    assert wire.packets == before


async def test_nothing_is_taken_while_the_client_does_not_read() -> None:
    wire = Wire()
    cycle = _cycle(wire)
    writing = Writing(cycle)
    await writing.send(CHUNKED)
    cycle.flow.pause_writing()
    before = list(wire.packets)

    assert not writing.take(b"much")

    assert wire.packets == before
    cycle.flow.resume_writing()
    assert writing.take(b"much")


async def test_nothing_is_taken_for_a_connection_that_is_being_closed() -> None:
    wire = Wire()
    writing = Writing(_cycle(wire))
    await writing.send(CHUNKED)
    wire.close()

    assert not writing.take(b"bytes")


async def test_an_empty_piece_is_not_written_as_the_last_chunk() -> None:
    wire = Wire()
    writing = Writing(_cycle(wire))
    await writing.send(CHUNKED)

    assert not writing.take(b"")

    assert len(wire.packets) == 1

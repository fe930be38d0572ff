import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.errors import UpstreamInvalid
from llm_backend.streaming import sse
from llm_backend.streaming.sse import Event

CHUNKS = [
    b'data: {"a":1}\n\n',
    'data: {"text":"h\u00e9llo \u2603 \U0001f600"}\n\n'.encode(),
    b"data: [DONE]\n\n",
]

GOLDEN: dict[str, tuple[bytes, list[Event]]] = {
    "ordinary": (
        b"".join(CHUNKS),
        [Event(b'{"a":1}'), Event('{"text":"h\u00e9llo \u2603 \U0001f600"}'.encode()), Event(b"[DONE]")],
    ),
    "mark": (b"\xef\xbb\xbfdata: {}\n\ndata: []\n\n", [Event(b"{}"), Event(b"[]")]),
    "crlf": (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [Event(b"1"), Event(b"2")]),
    "cr": (b"data: 1\r\rdata: 2\r\r", [Event(b"1"), Event(b"2")]),
    "mixed": (b"data: 1\r\ndata: 2\r\n\ndata: 3\n\r\r\ndata: 4\r\n\r", [Event(b"1\n2"), Event(b"3"), Event(b"4")]),
    "comments": (b": hello\n\n:\n\ndata: 1\n: inside\n\n", [Event(b"1")]),
    "foreign fields": (b"id: 7\nretry: 10\nodd\nevent: tick\ndata: 1\n\nid: 8\n\n", [Event(b"1", "tick")]),
    "no space": (b"data:1\n\ndata:  2\n\n", [Event(b"1"), Event(b" 2")]),
    "several lines": (b'data: {\ndata: "a":1\ndata: }\n\n', [Event(b'{\n"a":1\n}')]),
    "empty data": (b"data:\n\ndata: \n\ndata\n\ndata: 1\n\n", [Event(b"1")]),
    "empty data with a name": (b"event: ping\ndata:\n\nevent: alone\n\ndata: 1\n\n", [Event(b"", "ping"), Event(b"1")]),
    "blank noise": (b"\n\n\n\ndata: 1\n\n\n\n\n \n", [Event(b"1")]),
    "long": (b"data: " + b"x" * 5000 + b"\n\n", [Event(b"x" * 5000)]),
}
SHORT = [name for name in GOLDEN if name != "long"]


def split(chunks: list[bytes]) -> list[Event]:
    """Read a whole stream, cut into `chunks`."""
    splitter = sse.Splitter()
    events = [event for chunk in chunks for event in splitter.feed(chunk)]
    splitter.close()
    return events


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("name", GOLDEN)
def test_a_stream_in_one_piece_is_split_into_its_events(name: str) -> None:
    stream, events = GOLDEN[name]

    assert split([stream]) == events


@pytest.mark.parametrize("name", GOLDEN)
def test_a_stream_of_one_byte_packets_says_the_same(name: str) -> None:
    stream, events = GOLDEN[name]

    assert split([stream[at : at + 1] for at in range(len(stream))]) == events


@pytest.mark.parametrize("name", SHORT)
def test_a_stream_cut_at_any_offset_says_the_same(name: str) -> None:
    stream, events = GOLDEN[name]

    for at in range(len(stream) + 1):
        assert split([stream[:at], stream[at:]]) == events


@given(st.sampled_from(sorted(GOLDEN)), st.data())
def test_a_stream_cut_anywhere_says_the_same(name: str, data: st.DataObject) -> None:
    stream, events = GOLDEN[name]
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))

    assert split(cut(stream, places)) == events


def lines() -> st.SearchStrategy[bytes]:
    fields = st.sampled_from([b"data: a", b"data:", b"data: \xc3\xa9", b"event: e", b": c", b"id: 1", b"", b"", b"x"])
    return st.tuples(fields, st.sampled_from([b"\n", b"\r\n", b"\r"])).map(b"".join)


def by_the_book(stream: bytes) -> list[Event]:
    """Read a whole stream slowly and plainly, as the standard puts it."""
    text = stream.decode().replace("\r\n", "\n").replace("\r", "\n")
    events, data, name = [], list[str](), ""
    for line in text.split("\n")[:-1]:
        field, _, value = line.partition(":")
        if line == "":
            if data and (name or "\n".join(data)):
                events.append(Event("\n".join(data).encode(), name or None))
            data, name = [], ""
        elif field == "data":
            data.append(value.removeprefix(" "))
        elif field == "event":
            name = value.removeprefix(" ")
    return events


@given(st.lists(lines(), max_size=12).map(b"".join), st.data())
def test_any_mixture_of_lines_is_read_by_the_book(stream: bytes, data: st.DataObject) -> None:
    # A line feed first settles what a CR at the end of the cut left open.
    stream += b"x\n\n"
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))

    assert split(cut(stream, places)) == by_the_book(stream)


def test_every_cut_inside_an_event_is_reported_and_the_fragment_dropped() -> None:
    whole, last = b'data: {"a":1}\n\n', b'data: {"b":2}\n\n'

    for at in range(1, len(last)):
        splitter = sse.Splitter()

        assert list(splitter.feed(whole + last[:at])) == [Event(b'{"a":1}')]
        with pytest.raises(UpstreamInvalid, match="middle of an event"):
            splitter.close()


@pytest.mark.parametrize("ending", [b"data: [DONE]", b"data:[DONE]\n", b"data: [DONE]\r\n", b": bye", b"id: 1\n", b" "])
def test_an_ending_that_lost_nothing_is_good(ending: bytes) -> None:
    assert split([b"data: 1\n\n", ending]) == [Event(b"1")]


def test_a_stream_that_says_nothing_ends_well() -> None:
    assert split([]) == []
    assert split([b"", b"\n", b""]) == []


def test_half_a_byte_order_mark_is_no_answer() -> None:
    splitter = sse.Splitter()
    assert list(splitter.feed(b"\xef\xbb")) == []

    with pytest.raises(UpstreamInvalid):
        splitter.close()


def pieces(stream: bytes, size: int) -> Iterator[bytes]:
    return (stream[at : at + size] for at in range(0, len(stream), size))


@pytest.mark.parametrize("size", [1000, 65_536, 1 << 22])
@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(b"data: " + b"x" * sse.EVENT_LIMIT + b"\n\n", id="a line"),
        pytest.param(b"data: " + b"x" * sse.EVENT_LIMIT, id="a line without an end"),
        pytest.param(b": " + b"x" * sse.EVENT_LIMIT, id="a comment"),
        pytest.param((b"data: " + b"x" * 4095 + b"\n") * 257 + b"\n", id="an event"),
        pytest.param(b"data:\n" * (sse.EVENT_LIMIT + 2) + b"\n", id="an event of empty lines"),
    ],
)
def test_what_is_too_large_is_refused_after_what_came_before(stream: bytes, size: int) -> None:
    splitter, seen = sse.Splitter(), list[Event]()

    with pytest.raises(UpstreamInvalid, match="too large"):
        seen.extend(event for piece in pieces(b"data: 1\n\n" + stream, size) for event in splitter.feed(piece))

    assert seen == [Event(b"1")]


@pytest.mark.parametrize("size", [1000, 65_536, 1 << 22])
def test_what_just_fits_passes(size: int) -> None:
    line = b"x" * (sse.EVENT_LIMIT - len(b"data: "))
    several = [b"y" * 1023] * 1024

    stream = b"data: " + line + b"\n\n" + b"".join(b"data: " + part + b"\n" for part in several) + b"\n"

    assert split(list(pieces(stream, size))) == [Event(line), Event(b"\n".join(several))]


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
@pytest.mark.parametrize("form", [b"data: %b\n\n", b"data: a\ndata: %b\n\n", b"event: %b\ndata: a\n\n"])
def test_invalid_utf8_is_refused(form: bytes, bad: bytes) -> None:
    splitter = sse.Splitter()
    events = splitter.feed(b"data: 1\n\n" + form % bad)

    assert next(events) == Event(b"1")
    with pytest.raises(UpstreamInvalid, match="UTF-8"):
        next(events)


def test_invalid_utf8_outside_of_data_does_no_harm() -> None:
    assert split([b": \xff\n\xfe: x\ndata: 1\n\n"]) == [Event(b"1")]


def test_a_split_utf8_sequence_arrives_intact() -> None:
    text = "\u00e9\u2603\U0001f600".encode()
    stream = b"data: " + text + b"\n\n"

    for at in range(len(stream)):
        assert split([stream[:at], stream[at:]]) == [Event(text)]


@given(st.binary(max_size=200).map(lambda raw: raw.replace(b"\n", b"").replace(b"\r", b"")))
def test_what_is_framed_is_read_back(raw: bytes) -> None:
    data = raw.decode(errors="ignore").encode() or b"{}"

    assert split([sse.frame(data)]) == [Event(data)]
    assert split([sse.frame(data, "thread.created")]) == [Event(data, "thread.created")]


@pytest.mark.parametrize(("data", "name"), [(b"a\nb", None), (b"a\rb", None), (b"a", "x\ny"), (b"a", "x\ry")])
def test_a_frame_never_becomes_two(data: bytes, name: str | None) -> None:
    with pytest.raises(ValueError, match="one line"):
        sse.frame(data, name)


def test_the_end_mark_is_known() -> None:
    assert [sse.is_done(event) for event in split([sse.KEEP_ALIVE, sse.DONE])] == [True]
    assert not sse.is_done(Event(b"{}"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON)
def test_ascii_json_says_the_same_in_one_ascii_line(value: object) -> None:
    written = sse.ascii_json(value)

    assert written.isascii()
    assert b"\n" not in written
    assert json.loads(written) == value

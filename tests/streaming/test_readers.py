"""From an upstream's bytes to a client's eyes, however the network cuts either: what the strictest readers rely on."""

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.errors import UpstreamInvalid
from llm_backend.streaming.sse import DONE, KEEP_ALIVE, Splitter, ascii_json, frame, is_done
from tests.streaming.upstream_chunks import USAGE, chat, choice, chunk, first

TEXT = "h\u00e9 \u2603 \U0001f600 null"


@dataclass
class ChatWindow:
    """Reads as chatbot-ui does: decodes each packet by itself, shows content until a finish_reason, then closes."""

    shown: str = ""
    is_closed: bool = False
    failed_with: Any = None
    _rest: str = field(default="", repr=False)

    def receive(self, packet: bytes) -> None:
        self._rest += packet.decode(errors="replace")
        *events, self._rest = self._rest.split("\n\n")
        for event in events:
            if not event.startswith(":"):
                self._see(event.removeprefix("data: "))

    def _see(self, data: str) -> None:
        if self.is_closed:
            return
        said = json.loads(data)
        if "error" in said:
            self.failed_with = said["error"]
            self.is_closed = True
            return
        if said["choices"][0].get("finish_reason") is not None:
            self.is_closed = True
            return
        text = said["choices"][0]["delta"].get("content", "")
        assert isinstance(text, str)
        self.shown += text


def pumped(packets: list[bytes], *, wants_usage: bool = False) -> bytes:
    """Give what a pump without accounts would send for these packets of an upstream."""
    splitter, chunks, sent = Splitter(), chat(wants_usage=wants_usage, model="alias"), bytearray()
    try:
        for packet in packets:
            for event in splitter.feed(packet):
                if is_done(event):
                    return bytes(sent) + b"".join(frame(payload) for payload in chunks.conclude()) + DONE
                sent += b"".join(frame(payload) for payload in chunks.admit(event.data, event.name).payloads)
        splitter.close()
    except UpstreamInvalid as error:
        return bytes(sent) + frame(ascii_json(error.envelope()))
    assert chunks.finished
    return bytes(sent) + DONE


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    return [stream[start:end] for start, end in pairwise([0, *sorted(places), len(stream)])]


def spoken(*chunks: Any, ascii_only: bool = False) -> bytes:
    return b"".join(b"data: " + json.dumps(each, ensure_ascii=ascii_only).encode() + b"\n\n" for each in chunks)


UPSTREAMS = {
    "openai": spoken(
        {**first(), "usage": None},
        {**chunk(choice({"content": TEXT})), "usage": None},
        {**chunk(choice({}, "stop")), "usage": None},
        chunk(usage=USAGE),
        ascii_only=True,
    ),
    "azure": spoken(
        {"choices": [], "prompt_filter_results": [{"prompt_index": 0}], "id": "", "object": "", "model": ""},
        first(),
        chunk(choice({"content": TEXT})),
        chunk(choice({}, "stop")),
        {"choices": [{"index": 0, "content_filter_offsets": {}, "finish_reason": None}], "id": "", "object": ""},
    ),
    "ollama": spoken(
        chunk(choice({"role": "assistant", "content": TEXT[:4]})),
        chunk(choice({"role": "assistant", "content": TEXT[4:]})),
        chunk(choice({"role": "assistant", "content": ""}, "stop")),
        chunk(usage=USAGE),
    ).replace(b"\n", b"\r\n"),
    "text with its ending": b"\xef\xbb\xbf: hello\n\n"
    + spoken(
        chunk(choice({"role": "assistant", "content": None})),
        chunk(choice({"content": TEXT[:7]}, "")),
        chunk(choice(None)),
        chunk(choice({"content": TEXT[7:]}, "stop"), usage=USAGE),
    ),
}
ENDINGS = [b"data: [DONE]\n\n", b"data: [DONE]\n\ndata: [DONE]\n\n", b"data: [DONE]\n", b"", b": bye"]


@given(st.sampled_from(sorted(UPSTREAMS)), st.sampled_from(ENDINGS), st.data())
def test_the_chat_window_shows_the_text_and_closes(upstream: str, ending: bytes, data: st.DataObject) -> None:
    stream = UPSTREAMS[upstream] + ending
    packets = cut(stream, data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    sent = pumped(packets, wants_usage=data.draw(st.booleans()))
    received = cut(sent, data.draw(st.lists(st.integers(0, len(sent)), max_size=12)))
    window = ChatWindow()

    for packet in received:
        window.receive(packet)

    assert window == ChatWindow(shown=TEXT, is_closed=True)
    assert sent.endswith(DONE)
    assert sent.count(b"[DONE]") == 1
    assert sent.isascii()


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_every_cut_of_the_upstream_s_packets_gives_the_same_bytes(upstream: str) -> None:
    stream = UPSTREAMS[upstream] + DONE
    whole = pumped([stream])

    for at in range(len(stream)):
        assert pumped([stream[:at], stream[at:]]) == whole


def test_what_breaks_in_the_middle_shows_as_an_error_after_the_text() -> None:
    window = ChatWindow()

    window.receive(KEEP_ALIVE + pumped([spoken(first(TEXT)), b"data: {broken\n\n" + spoken(first("never"))]))

    assert window.shown == TEXT
    assert window.failed_with["code"] == "upstream_invalid_response"


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_usage_reaches_only_who_asked(upstream: str) -> None:
    stream = UPSTREAMS[upstream] + DONE
    has_usage = b'"total_tokens"' in stream

    assert (b'"total_tokens"' in pumped([stream], wants_usage=True)) is has_usage
    assert b'"total_tokens"' not in pumped([stream])

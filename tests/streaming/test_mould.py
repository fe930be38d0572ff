"""Events that come out of the mould are what the whole rules would have made of them."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.domain.tally import Tally
from llm_backend.streaming.chunks import ChatChunks, TextChunks
from llm_backend.streaming.sse import frame
from tests.streaming.upstream_chunks import USAGE, chat, choice, chunk, first, text

WORD = "a word"
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=6) | st.sampled_from(
    ['a "b" \\ \n\t\b\f\r', "/", "\x00", "\x7f", "é", "😀", "<mark of the text>", ""]
)
DELTAS: list[Any] = [
    {"content": WORD},
    {"content": WORD, "role": "assistant"},
    {"role": "assistant", "content": WORD, "tool_calls": None},
    {"reasoning_content": WORD, "content": None},
    {"content": WORD, "refusal": WORD},
    {"content": WORD, "refusal": "same"},
    {"content": "same", "unheard_of": {"content": WORD}},
    {"content": "same", "reasoning": ""},
    {"tool_calls": [{"index": 0, "function": {"arguments": WORD}}]},
    {"content": [{"type": "text", "text": WORD}]},
    {},
    None,
]
CHOICES = st.one_of(
    st.builds(choice, st.sampled_from(DELTAS)),
    st.builds(choice, st.sampled_from(DELTAS), st.sampled_from([None, "", "stop"]), st.sampled_from([0, 1, "0", -1])),
    st.just({"index": 0, "text": WORD, "finish_reason": None, "logprobs": None}),
)
EXTRAS: list[Any] = [
    {},
    {"obfuscation": WORD},
    *({"usage": usage} for usage in (None, USAGE, 7)),
    *({"id": each} for each in ("other", None)),
    *({"model": each} for each in ("other", None)),
    {"error": None},
    {"audio": WORD},
    {"delta": WORD},
    {"choices": []},
    {"x": '"content":"', "content": WORD},
]
SHAPES = st.builds(
    lambda choices, extra: {**chunk(*choices), **extra},
    st.lists(CHOICES, min_size=1, max_size=2),
    st.sampled_from(EXTRAS),
)
COMPACT, SPACED, RAW, INDENTED = range(4)


def written(shape: Any, word: str, manner: int) -> bytes:
    value = json.loads(json.dumps(shape).replace(json.dumps(WORD), json.dumps(word)))
    if manner == COMPACT:
        return orjson.dumps(value)
    return json.dumps(value, ensure_ascii=manner == SPACED, indent=1 if manner == INDENTED else None).encode()


def judged(stream: ChatChunks | TextChunks, events: list[bytes], tally: Tally) -> list[bytes]:
    """What the client gets where every event is judged by the whole rules."""
    got = []
    for event in events:
        admitted = stream.admit(event)
        tally.see(admitted.chunk)
        got += [frame(payload) for payload in admitted.payloads]
    return got


def cast(stream: ChatChunks | TextChunks, events: list[bytes], tally: Tally) -> tuple[list[bytes], int]:
    """What the client gets where every event that fits is taken out of the mould, and how many did."""
    got, fitted = [], 0
    for event in events:
        # No upstream's frame has lines within.
        taken = stream.mould.take(b"data: %b\n\n" % event) if stream.mould else None
        if taken is None or not taken.texts:
            got += judged(stream, [event], tally)
            continue
        assert taken.rest == b""
        tally.hear(taken.texts)
        got.append(taken.frames)
        fitted += 1
    return got, fitted


def told(tally: Tally) -> tuple[object, ...]:
    return tally.text, tally.text_bytes, tally.deltas, tally.has_come


@given(
    st.lists(st.tuples(SHAPES, st.lists(WORDS, min_size=1, max_size=6)), max_size=4),
    st.integers(COMPACT, INDENTED),
    st.sampled_from([chat, text]),
    st.sampled_from([{"model": model, "wants_usage": wants} for model in (None, "alias") for wants in (False, True)]),
)
def test_the_mould_and_the_whole_rules_agree_on_every_stream(
    shapes: list[tuple[Any, list[str]]], manner: int, kind: Any, wishes: Any
) -> None:
    events = [written(shape, word, manner) for shape, words in shapes for word in words]
    whole, quick, seen, heard = kind(**wishes), kind(**wishes), Tally(), Tally()

    assert cast(quick, events, heard)[0] == judged(whole, events, seen)

    assert told(heard) == told(seen)
    assert quick.conclude() == whole.conclude()
    assert (quick.usage, quick.finished) == (whole.usage, whole.finished)


OPENAI = b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":"%b"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"%b"}'  # noqa: E501 (as it comes)
VLLM = b'{"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {"content": "%b"}, "logprobs": null, "finish_reason": null}]}'  # noqa: E501 (as it comes)


@pytest.mark.parametrize("event", [OPENAI, VLLM])
@pytest.mark.parametrize("model", [None, "alias"])
def test_of_an_ordinary_stream_all_but_the_first_two_chunks_come_out_of_the_mould(
    event: bytes, model: str | None
) -> None:
    words = [b"word %d\\n" % number for number in range(20)]
    events = [event % ((word, b"x" * number)[: event.count(b"%b")]) for number, word in enumerate(words)]
    tally = Tally()

    _, fitted = cast(chat(model=model), [orjson.dumps(first()), *events], tally)

    assert fitted == len(words) - 1
    assert tally.text == "".join(f"word {number}\n" for number in range(20))


def learnt() -> ChatChunks:
    stream = chat()
    for each in (first(), chunk(choice({"content": "a word"}))):
        stream.admit(orjson.dumps(each))
    return stream


def test_of_what_comes_together_all_that_fits_is_taken_at_once_as_the_same_bytes() -> None:
    mould = learnt().mould
    assert mould is not None
    fits = b"".join(frame(orjson.dumps(chunk(choice({"content": word})))) for word in "abc")
    other = frame(orjson.dumps(chunk(choice({}, "stop"))))

    taken = mould.take(fits + other + fits)

    assert taken == ([b"a", b"b", b"c"], fits, other + fits)
    assert mould.take(fits).frames is fits


@pytest.mark.parametrize("cut", [1, 10, 150, -1])
def test_an_event_that_is_not_whole_is_left(cut: int) -> None:
    mould = learnt().mould
    assert mould is not None
    event = frame(orjson.dumps(chunk(choice({"content": "a word"}))))

    assert mould.take(event + event[:cut]) == ([b"a word"], event, event[:cut])


def assert_alike(model: str | None, *chunks: Any) -> None:
    whole, quick, heard = chat(model=model), chat(model=model), Tally()
    events = [each if isinstance(each, bytes) else orjson.dumps(each) for each in chunks]

    assert cast(quick, events, heard)[0] == judged(whole, events, Tally())
    assert quick.usage == whole.usage


def said(word: str, **more: Any) -> Any:
    return {**chunk(choice({"content": word})), **more}


def test_a_model_that_changes_is_the_one_that_is_filled_in_where_none_is_told() -> None:
    assert_alike(None, first(), *map(said, "abc"), chunk(choice({}), model="other"), said("d"), said("e", model=None))


def test_usage_that_comes_with_each_chunk_is_seen_each_time() -> None:
    more = {**USAGE, "total_tokens": 9}
    assert_alike(None, first(), *(said(word, usage=USAGE) for word in "abc"), chunk(usage=more), said("d", usage=USAGE))


def test_an_escape_that_we_would_not_write_is_written_anew_under_another_name() -> None:
    assert_alike("alias", first(), *map(said, "abc"), orjson.dumps(said("word")).replace(b"word", rb"\/"))


@pytest.mark.parametrize("word", ["<mark of the text>", "<mark of the padding>"])
def test_a_text_that_is_our_own_mark_is_a_text(word: str) -> None:
    twice = [
        orjson.dumps(said("x")).replace(b'"x"', b'"%b","content":"%b"' % (each, word.encode())) for each in (b"a", b"b")
    ]
    assert_alike("alias", first(), twice[0], *twice, said(word), said(word))


def test_a_stream_whose_shape_never_stays_is_not_learnt_for_ever() -> None:
    stream = chat()
    stream.admit(orjson.dumps(first()))
    moulds = set()
    for number in range(100):
        stream.admit(orjson.dumps({**chunk(choice({"content": "a word"})), "created": number}))
        moulds.add(stream.mould)

    assert len(moulds) < 10

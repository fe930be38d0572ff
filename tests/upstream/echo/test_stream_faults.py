"""Faults of bytes and of time, in the middle of an answer."""

import asyncio

import pytest

from llm_backend.errors import UpstreamUnreachable
from tests.upstream.echo.asking import Asker, chat, streamed, whole

DONE = "[DONE]"


async def test_a_stream_hangs_after_so_many_words_and_is_cut_by_its_client(ask: Asker) -> None:
    reply = await ask.open("/chat/completions", chat("[[fault hang-mid-stream after=2]] a b c", stream=True))
    pieces = reply.chunks()
    for _ in range(3):
        await anext(pieces)
    waiting = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)
    assert not waiting.done()

    await reply.close()

    with pytest.raises(UpstreamUnreachable):
        await waiting
    assert ask.last.is_cut
    assert ask.last.completion_tokens == 2


@pytest.mark.parametrize("after", [0, 1, 3])
async def test_a_stream_ends_after_so_many_words_without_done(ask: Asker, after: int) -> None:
    answer = await streamed(ask, f"fin after={after}")

    assert answer.body.count(b"data: ") == (after + 1 if after else 0)
    assert b"[DONE]" not in answer.body
    assert ask.last.completion_tokens == after


async def test_a_stream_is_reset_after_so_many_words(ask: Asker) -> None:
    with pytest.raises(UpstreamUnreachable) as broken:
        await streamed(ask, "reset after=2")

    assert broken.value.outcome_unknown
    assert ask.last.ending == "broken"
    assert ask.last.completion_tokens == 2


async def test_an_event_is_cut_at_any_byte(ask: Asker) -> None:
    complete = await streamed(ask, "fin after=2")
    lengths = [len((await streamed(ask, f"cut-event after=1 at={at}")).body) for at in (0, 1, 50)]
    begun = await streamed(ask, "fin after=1")

    assert [length - len(begun.body) for length in lengths] == [0, 1, 50]
    assert len(complete.body) > len(begun.body) + 50
    assert (await streamed(ask, "cut-event after=9")).body.endswith(b"[DONE]\n\n")


@pytest.mark.parametrize(
    ("name", "mark"),
    [
        ("bad-json", b'"choices": [{]'),
        ("invalid-utf8", b"\xff\xfe"),
        ("empty-data", b"data:\n\n"),
        ("error-event", b'data: {"error":'),
        ("named-error-event", b"event: error\ndata: "),
    ],
)
async def test_a_bad_event_stands_between_good_ones(ask: Asker, name: str, mark: bytes) -> None:
    answer = await streamed(ask, f"{name} after=2")

    before, _, after = answer.body.partition(mark)
    assert before.count(b'"content":') == 3
    assert after.count(b'"content":') == 1
    assert after.endswith(b"data: [DONE]\n\n")


async def test_done_may_be_missing_doubled_or_followed(ask: Asker) -> None:
    none, double, followed = [await streamed(ask, name) for name in ("no-done", "double-done", "after-done")]
    silent = await streamed(ask, "after-done", "[[words 0]]")

    assert DONE not in none.events
    assert double.events[-2:] == [DONE, DONE]
    assert followed.events[-2] == DONE
    assert followed.events[-1]["choices"][0]["delta"] == {"content": " c"}
    assert silent.events[-1] == DONE
    assert ask.echo.calls[2].completion_tokens == 3


async def test_a_stream_may_be_written_strangely_and_say_the_same(ask: Asker) -> None:
    bodies = {name: (await streamed(ask, name)).body for name in ("comments", "ids", "bom", "crlf", "cr", "no-space")}
    lines = await streamed(ask, "multi-line")

    assert bodies["comments"].startswith(b": keep-alive\n\ndata: {")
    assert bodies["ids"].startswith(b"id: 7\nretry: 10\nevent: message\ndata: {")
    assert bodies["bom"].startswith(b"\xef\xbb\xbfdata: {")
    assert bodies["crlf"].count(b"\r\n\r\n") == 6
    assert bodies["cr"].count(b"\r\r") == 6
    assert b"\n" not in bodies["cr"]
    assert bodies["no-space"].count(b"data:{") == 5
    assert lines.body.count(b"\ndata: ") == 10


@pytest.mark.parametrize("fault", ["bytewise", "trickle seconds=0"])
async def test_bytes_may_come_one_at_a_time(ask: Asker, fault: str) -> None:
    reply = await ask.open("/chat/completions", chat(f"[[fault {fault}]] wörld", stream=True))

    pieces = [piece async for piece in reply.chunks()]
    await reply.close()

    assert {len(piece) for piece in pieces} == {1}
    assert "wörld".encode() in b"".join(pieces)
    assert ask.last.completion_tokens == 1


@pytest.mark.parametrize("fault", ["fin", "cut-event", "fin after=9"])
async def test_a_whole_answer_is_cut_in_its_middle(ask: Asker, fault: str) -> None:
    answer = await whole(ask, fault)

    assert answer.body.startswith(b'{"id"')
    assert not answer.body.endswith(b"}")
    assert "content-length" not in answer.headers


async def test_a_whole_answer_may_be_reset(ask: Asker) -> None:
    with pytest.raises(UpstreamUnreachable):
        await whole(ask, "reset")

    assert ask.last.ending == "broken"

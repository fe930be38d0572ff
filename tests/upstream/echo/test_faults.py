"""Faults before the answer and around it, by directive and by model name."""

import asyncio
import re
import zlib
from pathlib import Path

import pytest

from llm_backend.errors import UpstreamInvalid, UpstreamUnreachable
from llm_backend.upstream.echo import faults
from llm_backend.upstream.echo.instead import FAKE_KEY
from tests.upstream.echo.asking import Asker, chat, streamed, whole


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", faults.names())
async def test_each_fault_has_a_model_of_its_name_and_comes_to_an_end(ask: Asker, name: str, stream: bool) -> None:  # noqa: FBT001 (parametrised)
    options = "bytes=1000,members=3,words=3,seconds=0"
    asking = asyncio.create_task(ask.chat("a b c", model=f"echo-fault-{name}:{options}", stream=stream))

    if "hang" in name:
        await asyncio.sleep(0.01)
        asking.cancel()

    await asyncio.wait([asking])
    assert asking.cancelled() or isinstance(asking.exception(), UpstreamUnreachable | None)
    assert ask.last.ending != "running" or "hang" in name


def test_the_guide_names_every_fault_and_no_other() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "echo.md").read_text()
    rows = [line.split("|")[1] for line in guide.partition("## Faults")[2].splitlines() if line.startswith("| `")]

    named = {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)}

    assert named == set(faults.names())


async def test_a_refused_connection_was_never_taken_and_a_broken_one_may_have_been(ask: Asker) -> None:
    with pytest.raises(UpstreamUnreachable) as refused:
        await whole(ask, "refused")
    with pytest.raises(UpstreamUnreachable) as broken:
        await whole(ask, "reset-headers")

    assert not refused.value.outcome_unknown
    assert broken.value.outcome_unknown
    assert [call.ending for call in ask.echo.calls] == ["broken", "broken"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503, 529])
async def test_a_status_comes_with_an_envelope_for_both_kinds_of_answer(ask: Asker, status: int) -> None:
    answers = [await whole(ask, str(status)), await streamed(ask, str(status))]

    assert [answer.status for answer in answers] == [status, status]
    assert answers[0].body == answers[1].body
    assert set(answers[0].error) == {"message", "type", "param", "code"}


async def test_a_401_tells_a_key_that_must_not_be_passed_on(ask: Asker) -> None:
    answer = await whole(ask, "401")

    assert FAKE_KEY in answer.error["message"]


async def test_a_status_takes_a_time_to_wait_a_code_and_a_page(ask: Asker) -> None:
    limited = await whole(ask, "429 retry-after=3 retry-after-ms=2500 should-retry=false code=c type=tokens")
    page = await whole(ask, "502 body=html")

    assert limited.headers["retry-after"] == "3"
    assert limited.headers["retry-after-ms"] == "2500"
    assert limited.headers["x-should-retry"] == "false"
    assert (limited.error["code"], limited.error["type"]) == ("c", "tokens")
    assert page.headers["content-type"] == "text/html"


async def test_a_fault_may_strike_the_first_times_only(ask: Asker) -> None:
    statuses = [(await whole(ask, "503 times=2")).status for _ in range(4)]
    other = await whole(ask, "503 times=2", "another prompt")

    assert statuses == [503, 503, 200, 200]
    assert other.status == 503


async def test_a_flapping_upstream_fails_every_second_time(ask: Asker) -> None:
    statuses = [(await ask.chat(f"{number}", model="echo-fault-500:every=2")).status for number in range(4)]

    assert statuses == [500, 200, 500, 200]


async def test_the_attempts_that_are_remembered_are_bounded(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_backend.upstream.echo.core._MOST_ATTEMPTS_KEPT", 2)

    statuses = [(await whole(ask, "503 times=1", text)).status for text in ("a", "b", "c", "a", "c")]

    assert statuses == [503, 503, 503, 503, 200]


async def test_html_json_and_nothing_come_where_a_stream_was_asked_for(ask: Asker) -> None:
    page, error, empty, proper = [await streamed(ask, name) for name in ("html", "json-error", "empty", "whole")]

    assert page.headers["content-type"].startswith("text/html")
    assert error.headers["content-type"] == "application/json"
    assert error.error["type"] == "server_error"
    assert empty.body == b""
    assert proper.message["content"] == "a b c"
    assert [answer.status for answer in (page, error, empty, proper)] == [200] * 4


async def test_a_redirect_points_where_no_request_may_go(ask: Asker) -> None:
    answer = await whole(ask, "redirect")

    assert (answer.status, answer.headers["location"]) == (302, "http://169.254.169.254/latest/meta-data/")


async def test_a_huge_body_is_made_while_it_is_read_and_is_too_large_to_be_read_whole(ask: Asker) -> None:
    reply = await ask.open("/chat/completions", chat("[[fault huge-body]] Hello"))

    with pytest.raises(UpstreamInvalid):
        await reply.read()

    await reply.close()
    await ask.transport.close()
    assert ask.transport.calls[-1].is_cut


async def test_a_huge_line_is_one_event_of_so_many_bytes(ask: Asker) -> None:
    answer = await streamed(ask, "huge-line bytes=200000")

    (event,) = answer.events
    assert len(event["id"]) == 200_000


@pytest.mark.parametrize("stream", [False, True])
async def test_a_zipped_answer_says_so_and_unzips_to_the_plain_one(ask: Asker, stream: bool) -> None:  # noqa: FBT001 (parametrised)
    plain = await ask.chat("[[fault no-content-type]] a b c", stream=stream)
    zipped = await ask.chat("[[fault gzip]] a b c", stream=stream)

    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-length" not in zipped.headers
    unzipped = zlib.decompress(zipped.body, wbits=31)
    assert len(unzipped) == len(plain.body)
    assert "content-type" not in plain.headers


async def test_a_zip_bomb_is_small_on_the_wire(ask: Asker) -> None:
    bomb = await whole(ask, "gzip-bomb bytes=1000000")
    members = await whole(ask, "gzip-members members=10")

    assert len(bomb.body) < 2000
    assert len(zlib.decompress(bomb.body, wbits=31)) == 1_000_000
    assert members.body.count(b"\x1f\x8b\x08") == 10


async def test_pauses_between_the_events_stay_where_the_answer_is_zipped(ask: Asker) -> None:
    answer = await ask.chat("[[fault gzip]] [[delay between=0.001]] a b c", stream=True)

    assert b"[DONE]" in zlib.decompress(answer.body, wbits=31)


async def test_foreign_headers_come_with_a_right_answer(ask: Asker) -> None:
    answer = await whole(ask, "foreign-headers")

    assert answer.message["content"] == "a b c"
    assert {"set-cookie", "server", "location", "x-ratelimit-limit-requests"} <= answer.headers.keys()

"""The strict reader straight at an upstream, without this server between: it does die of what chatbot-ui dies of."""

import pytest

from tests.clients.chatbot_ui import ChatbotUi, Shown
from tests.faulty import Cut, FaultyUpstream, chunk, error, event
from tests.told import Item, Json

STOP = chunk(finish="stop")
NULL: Json = chunk() | {"choices": [{"index": 0, "delta": {"content": None}, "finish_reason": None}]}
DEADLY: dict[str, tuple[list[Json | Item], Shown]] = {
    "a good answer is shown": ([chunk("a"), chunk("b"), STOP], Shown("ab", "closed")),
    "empty choices kill it": ([chunk("a"), STOP | {"choices": []}, STOP], Shown("a", "errored")),
    "null is printed": ([chunk("a"), NULL, STOP], Shown("anull", "closed")),
    "text beside the finish reason is lost": ([chunk("a"), chunk("b", finish="stop")], Shown("a", "closed")),
    "an empty finish reason closes it": ([chunk("a", finish=""), chunk("b"), STOP], Shown("", "closed")),
    "without a finish reason it waits": ([chunk("a"), Cut], Shown("a", "hanging")),
    "an end before the finish reason kills it": ([chunk("a"), b"data: [DONE]\n\n", Cut], Shown("a", "errored")),
    "an error event kills it": ([chunk("a"), error(), Cut], Shown("a", "errored")),
    "NaN kills it": ([b'data: {"choices": [NaN]}\n\n', STOP], Shown("", "errored")),
    "a split character is garbled": ([event(chunk("é")), STOP], Shown("\ufffd\ufffd", "closed")),
    "comments are passed over": ([b": ping\n\n", chunk("a"), STOP], Shown("a", "closed")),
}


@pytest.mark.parametrize(("told", "shown"), DEADLY.values(), ids=DEADLY)
async def test_the_reader_is_as_strict_as_the_page(
    upstream: FaultyUpstream, told: list[Json | Item], shown: Shown
) -> None:
    upstream.streams(*told)

    assert await ChatbotUi(f"http://127.0.0.1:{upstream.port}").chat("any", "Hi") == shown

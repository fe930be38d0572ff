"""What a prompt may ask for besides its words."""

import asyncio

import pytest

from llm_backend.upstream.echo.directives import Directives, plain, read
from tests.upstream.echo.asking import Asker, chat


async def test_told_tokens_are_reported_instead_of_the_true_ones(ask: Asker) -> None:
    answer = await ask.chat("[[tokens prompt=12 completion=40 reasoning=8 cached=4]] Hello")

    usage = answer.json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (12, 40, 52)
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 8
    assert usage["prompt_tokens_details"]["cached_tokens"] == 4
    assert ask.last.completion_tokens == 1


async def test_so_many_words_as_asked_for_are_said_and_counted(ask: Asker) -> None:
    some = await ask.chat("[[words 5]] a b")
    bare = await ask.chat("[[words 2]]")

    assert some.message["content"] == "a b a b a"
    assert some.json["usage"]["completion_tokens"] == 5
    assert bare.message["content"] == "echo echo"


async def test_a_finish_reason_may_be_asked_for(ask: Asker) -> None:
    answer = await ask.chat("[[finish content_filter]] Hello")

    assert answer.json["choices"][0]["finish_reason"] == "content_filter"


async def test_directives_are_neither_said_nor_counted(ask: Asker) -> None:
    answer = await ask.chat("Hello [[delay 0]] big [[words]x]] [[Wiki]] world")

    assert answer.message["content"] == "Hello big [[words]x]] [[Wiki]] world"
    assert answer.json["usage"]["prompt_tokens"] == 5


async def test_directives_of_earlier_messages_are_forgotten(ask: Asker) -> None:
    messages = [{"role": "user", "content": "[[fault 500]] First"}, {"role": "user", "content": "Second"}]

    answer = await ask.post("/chat/completions", {"model": "echo", "messages": messages})

    assert answer.message["content"] == "Second"
    assert answer.json["usage"]["prompt_tokens"] == 2


@pytest.mark.parametrize(
    "text",
    [
        "[[words]]",
        "[[words many]]",
        "[[words -1]]",
        "[[delay soon]]",
        "[[delay between=nan]]",
        "[[tokens prompt=1.5]]",
        "[[tokens output=3]]",
        "[[tool]]",
        "[[finish]]",
        "[[fault]]",
        "[[fault unheard-of]]",
        "[[fault 399]]",
        "[[fault fin after=x]]",
        "[[fault fin soon=1]]",
        "[[fault redirect to=\x7f]]",
        "[[fault trickle seconds=x]]",
    ],
)
async def test_a_directive_that_is_wrong_is_refused(ask: Asker, text: str) -> None:
    answer = await ask.chat(text, stream=True)

    assert answer.status == 400
    assert answer.error["code"] == "invalid_value"


def test_all_directives_of_a_text_add_up() -> None:
    found = read("[[delay 0.5 between=0.25]] [[tool a x=1 y=z]][[tool b]] [[refuse]] Hello")

    assert found == Directives(
        delay_seconds=0.5, between_seconds=0.25, tools=[("a", {"x": 1, "y": "z"}), ("b", {})], refuses=True
    )


def test_a_hostile_prompt_is_read_in_linear_time() -> None:
    text = "[[tool " * 20_000 + "[[words " + "a " * 20_000

    assert plain(text) == text


async def test_a_delay_comes_before_the_status_and_between_the_events(ask: Asker) -> None:
    request = chat("[[delay 0.001 between=0.001]] a b", stream=True)

    answer = await ask.post("/chat/completions", request)

    assert answer.said == "a b"
    assert ask.last.ending == "complete"


async def test_a_call_that_is_given_up_while_it_waits_is_logged_as_cut(ask: Asker) -> None:
    waiting = asyncio.create_task(ask.open("/chat/completions", chat("[[delay 3600]] Hello")))
    await asyncio.sleep(0)
    assert ask.last.ending == "running"

    waiting.cancel()

    assert await ask.last.ended() == "cut"
    assert ask.last.status is None


async def test_closing_an_answer_early_wakes_its_reader_and_is_logged_as_cut(ask: Asker) -> None:
    reply = await ask.open("/chat/completions", chat("[[delay between=3600]] a b c", stream=True))
    pieces = reply.chunks()
    await anext(pieces)
    following = asyncio.ensure_future(anext(pieces))
    await asyncio.sleep(0)

    await reply.close()

    with pytest.raises(Exception, match="broke off"):
        await following
    assert await ask.last.ended() == "cut"
    assert ask.last.is_cut
    assert ask.last.completion_tokens == 0


async def test_an_answer_that_was_read_is_complete_though_it_is_closed_later(ask: Asker) -> None:
    reply = await ask.open("/chat/completions", chat("Hello"))

    await reply.read()
    await reply.close()

    assert ask.last.ending == "complete"

"""chatbot-ui's reader against this server, whatever the upstream does: rules a to g of its wire contract."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import aiohttp
import orjson
import pytest

from tests.clients.chatbot_ui import KNOWN_MODELS, AzureChatbotUi, ChatbotUi, Shown, UiError
from tests.databases import ON_SQLITE
from tests.faulty import DONE, Cut, FaultyUpstream, Hang, Reset, Torn, chunk, completion, error, event, usage
from tests.serving import Running, serving
from tests.told import Item, Json

pytestmark = ON_SQLITE

WORDS = "Grüße, 世界 🎉 “ok”"


@pytest.fixture
async def opened(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A server on loopback that asks for no key, as the UI's dummy key needs it."""
    async with serving(database_url, tmp_path, AUTH="open") as running:
        yield running


@pytest.fixture
def ui(relaying: Running) -> ChatbotUi:
    return ChatbotUi(relaying.root, relaying.key)


@pytest.mark.parametrize("key", ["undefined", "dummy key", "sk-dummy"])
async def test_without_a_key_of_ours_an_open_server_offers_all_models_that_the_ui_knows(
    opened: Running, key: str
) -> None:
    ui = ChatbotUi(opened.root, key, organization="org-x")

    assert set(await ui.models()) == KNOWN_MODELS
    assert await ui.chat("gpt-3.5-turbo", "Hello", "Hello", WORDS) == Shown(WORDS, "closed")


async def test_with_a_key_each_model_that_it_offers_answers_and_is_recorded(running: Running) -> None:
    ui = ChatbotUi(running.root, running.key)

    offered = await ui.models()
    shown = [await ui.chat(model, f"I am {model}") for model in offered]

    assert shown == [Shown(f"I am {model}", "closed") for model in offered]
    records = await running.records()
    assert [(record.model, record.upstream_model, record.basis) for record in records] == [
        (model, "echo", "reported") for model in offered
    ]


async def test_a_wrong_key_is_shown_as_the_envelope(running: Running) -> None:
    with pytest.raises(UiError) as raised:
        await ChatbotUi(running.root).models()
    assert orjson.loads(str(raised.value))["error"]["code"] == "invalid_api_key"

    with pytest.raises(UiError, match=r"^Incorrect API key provided\.$"):
        await ChatbotUi(running.root).chat("gpt-4", "Hi")


async def test_the_search_plug_in_reads_a_whole_answer(running: Running) -> None:
    assert await ChatbotUi(running.root, running.key).plug_in("gpt-4", WORDS) == WORDS


async def test_azures_path_and_header_reach_the_same_operation(running: Running) -> None:
    ui = AzureChatbotUi(running.root, running.key)

    assert await ui.chat("gpt-35-turbo", WORDS) == Shown(WORDS, "closed")
    (record,) = await running.records()
    assert (record.operation, record.model) == ("createChatCompletion", "gpt-35-turbo")


async def test_azures_deployment_is_the_model_where_the_body_names_none_or_another(running: Running) -> None:
    url = f"{running.root}/openai/deployments/gpt-4/chat/completions?api-version=2024-10-21"
    body: Json = {"messages": [{"role": "user", "content": "Hi"}]}
    async with aiohttp.ClientSession(headers={"api-key": running.key}) as session:
        for sent in (body, body | {"model": "other"}):
            async with session.post(url, json=sent) as answer:
                assert (await answer.json())["model"] == "gpt-4"

    assert [record.model for record in await running.records()] == ["gpt-4"] * 2


def null(finish: str | None = None, **delta: Json) -> Json:
    """A chunk whose content is null, as several upstreams write one that says nothing."""
    return chunk() | {"choices": [{"index": 0, "delta": {"content": None, **delta}, "finish_reason": finish}]}


FILTER: Json = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{}]}
FULL = [chunk("Grüße, "), chunk("世界 🎉"), chunk(" “ok”"), chunk(finish="stop")]
STRANGE: dict[str, list[Json | Item]] = {
    "plain": [*FULL],
    "an empty list of choices first, as Azure sends it": [FILTER, *FULL],
    "usage on every chunk and alone at the end": [*[each | {"usage": {}} for each in FULL], usage(3, 4)],
    "an empty list of choices in the middle": [*FULL[:2], FILTER, *FULL[2:]],
    "null content at the start": [null(role="assistant"), *FULL],
    "null content in between": [FULL[0], null(reasoning_content="hm"), *FULL[1:]],
    "null content at the end": [*FULL[:3], null("stop")],
    "text beside the finish reason": [*FULL[:2], chunk(" “ok”", finish="stop")],
    "an empty finish reason on the way": [chunk("Grüße, ", finish=""), *FULL[1:]],
    "a delta that is null": [FULL[0] | {"choices": [{"index": 0, "delta": None, "finish_reason": None}]}, *FULL],
    "no delta": [FULL[0] | {"choices": [{"index": 0, "finish_reason": None}]}, *FULL],
    "comments, ids and names": [b": hello\n\n", b"id: 7\nretry: 1\nevent: x\n" + event(FULL[0]), *FULL[1:]],
    "two ends": [*FULL, DONE, DONE],
    "words after the end": [*FULL, DONE, event(chunk("!"))],
    "no end": [*FULL, Cut],
}


async def test_however_strangely_it_was_told_the_answer_is_shown(
    ui: ChatbotUi, relaying: Running, upstream: FaultyUpstream
) -> None:
    for told in STRANGE.values():
        upstream.streams(*told)

    assert {way: await ui.chat("any", "Hi") for way in STRANGE} == dict.fromkeys(STRANGE, Shown(WORDS, "closed"))
    assert [record.status for record in await relaying.records()] == ["completed"] * len(STRANGE)


BROKEN: dict[str, list[Json | Item]] = {
    "a clean end without a finish reason": [Cut],
    "[DONE] without a finish reason": [DONE, Cut],
    "a reset": [Reset],
    "the end of the connection": [Torn],
    "silence": [Hang],
    "half an event": [b'data: {"choices": [{"ind', Cut],
    "broken JSON": [b"data: {]\n\n", Hang],
    "no data": [b"data:\n\n", Hang],
    "wrong UTF-8": [b'data: {"choices": [{"index": 0, "delta": {"content": "\xff"}}]}\n\n', Hang],
    "an error": [error("Overheated."), Cut],
}


async def test_a_stream_that_breaks_off_is_an_error_and_never_a_page_that_waits(
    ui: ChatbotUi, relaying: Running, upstream: FaultyUpstream
) -> None:
    for end in BROKEN.values():
        upstream.streams(chunk("Grüße"), *end)

    assert {way: await ui.chat("any", "Hi") for way in BROKEN} == dict.fromkeys(BROKEN, Shown("Grüße", "errored"))
    records = await relaying.records()
    assert [(record.status, record.basis) for record in records] == [("incomplete", "estimated")] * len(BROKEN)


REFUSALS: dict[str, tuple[int, Json]] = {
    "max_tokens is too large.": (400, error("max_tokens is too large.", "invalid_request_error")),
    "Two lines.": (400, error("Two\nlines.", "invalid_request_error")),
    "Not Found": (404, {"detail": "Not Found"}),
    "The upstream refused this server's credentials; its operator has to mend that.": (401, error("Wrong key.")),
    "Slow down.": (429, error("Slow down.")),
    "The upstream answered with the status 504.": (504, {}),
}


async def test_a_refusal_before_the_stream_is_a_message_in_one_line(ui: ChatbotUi, upstream: FaultyUpstream) -> None:
    for status, body in REFUSALS.values():
        upstream.answers(body, status=status)

    for message in REFUSALS:
        with pytest.raises(UiError) as raised:
            await ui.chat("any", "Hi")
        assert str(raised.value) == message


async def test_a_page_or_a_whole_answer_instead_of_a_stream_is_a_message_too(
    ui: ChatbotUi, upstream: FaultyUpstream
) -> None:
    upstream.answers(completion("Hi"))
    upstream.streams(b"<html>Bad gateway</html>", Cut, headers={"content-type": "text/html"})

    for _ in range(2):
        with pytest.raises(UiError, match="upstream"):
            await ui.chat("any", "Hi")


async def test_no_cutting_of_the_upstreams_bytes_is_seen(ui: ChatbotUi, upstream: FaultyUpstream) -> None:
    rng = Random(1)  # noqa: S311 (no secret: the same cuts at every run)
    cuttings = [_cut(_as_bytes(rng), rng) for _ in range(80)]
    for pieces in cuttings:
        upstream.streams(*pieces, Cut)

    assert [await ui.chat("any", "Hi") for _ in cuttings] == [Shown(WORDS, "closed")] * len(cuttings)


async def test_every_place_to_split_a_character_is_harmless(ui: ChatbotUi, upstream: FaultyUpstream) -> None:
    said = event(chunk("世🎉"))
    start = said.index("世".encode())
    places = range(start, start + 8)
    for place in places:
        upstream.streams(said[:place], said[place:])

    assert [await ui.chat("any", "Hi") for _ in places] == [Shown("世🎉", "closed")] * len(places)


async def test_what_is_sent_is_ascii_so_that_no_packet_can_split_a_character(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.streams(*FULL)
    body: Json = {"model": "any", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
    url = f"{relaying.base_url}/chat/completions"

    async with aiohttp.ClientSession(headers=relaying.headers) as session, session.post(url, json=body) as answer:
        sent = await answer.read()

    assert sent.isascii()
    assert orjson.loads(sent.split(b"\n\n")[1].removeprefix(b"data: "))["choices"][0]["delta"]["content"] == "世界 🎉"


def _as_bytes(rng: Random) -> bytes:
    """The answer as an upstream may write it: any line ends, comments, with or without a byte order mark."""
    line_end = rng.choice([b"\n", b"\r\n", b"\r"])
    comment = rng.choice([b"", b": ping\n\n"])
    told = b"".join(comment + event(each) for each in FULL) + DONE
    return rng.choice([b"", b"\xef\xbb\xbf"]) + told.replace(b"\n", line_end)


def _cut(data: bytes, rng: Random) -> list[bytes]:
    places = sorted(rng.sample(range(1, len(data)), rng.choice([1, 5, 40])))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]

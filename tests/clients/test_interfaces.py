"""Chat interfaces and coding agents, each asking as it does: base URL, headers and fields, and what it reads."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from io import BytesIO

import aiohttp
import pytest
import pytest_asyncio

from tests.clients.interfaces import TOOLS, gathered, says
from tests.databases import ON_SQLITE
from tests.faulty import FaultyUpstream, completion
from tests.serving import Running

SHARED = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def session(platform: Running) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=platform.headers) as client:
        yield client


@SHARED
@pytest.mark.parametrize("base", ["/v1", "", "/openai/v1"])
async def test_a_base_url_is_typed_with_its_version_or_without(
    session: aiohttp.ClientSession, platform: Running, base: str
) -> None:
    async with session.get(f"{platform.root}{base}/models") as answer:
        listed = [model["id"] for model in (await answer.json())["data"]]
    async with session.post(f"{platform.root}{base}/chat/completions", json=says("Hi", stream=True)) as answer:
        got = await gathered(answer)

    assert "echo" in listed
    assert (got.text, got.finish) == ("Hi", "stop")


@SHARED
@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/v1/v1/models", "/v1 is in the path twice"),
        ("//v1/models", "slash too many"),
        ("/v1//models", "slash too many"),
        ("/v1/models/", "do not end with a slash"),
    ],
)
async def test_a_base_url_that_was_typed_wrongly_is_told_how(
    session: aiohttp.ClientSession, platform: Running, path: str, hint: str
) -> None:
    async with session.get(platform.root + path) as answer:
        error = (await answer.json())["error"]

    assert (answer.status, error["code"]) == (404, "not_found")
    assert hint in error["message"]


@SHARED
async def test_open_webui_verifies_asks_and_finds_a_title(session: aiohttp.ClientSession, platform: Running) -> None:
    told = {"X-OpenWebUI-User-Id": "7", "X-OpenWebUI-User-Email": "ada@example.org", "X-OpenWebUI-Chat-Id": "c-1"}
    async with session.get(f"{platform.base_url}/models", headers=told) as answer:
        verified = answer.status
    asked = says("Where is Paris?", stream=True, stream_options={"include_usage": True})
    async with session.post(f"{platform.base_url}/chat/completions", json=asked, headers=told) as answer:
        got = await gathered(answer)
    asked = says("A title, please", stream=False, max_tokens=1000)
    async with session.post(f"{platform.base_url}/chat/completions", json=asked, headers=told) as answer:
        title = (await answer.json())["choices"][0]["message"]["content"]

    assert (verified, got.text, title) == (200, "Where is Paris?", "A title, please")
    assert got.usage
    assert len(await platform.records()) == 2


@SHARED
@pytest.mark.parametrize("fault", ["tool-no-index", "tool-one-based", "tool-null-ids"])
async def test_parts_of_tool_calls_name_their_place_however_the_upstream_wrote_them(
    session: aiohttp.ClientSession, platform: Running, fault: str
) -> None:
    prompt = f"[[fault {fault}]] [[tool read_file path=a.py]] [[tool read_file path=b.py]] Both."
    asked = says(prompt, tools=TOOLS, stream=True)
    async with session.post(f"{platform.base_url}/chat/completions", json=asked) as answer:
        got = await gathered(answer)

    assert got.finish == "tool_calls"
    assert got.names == {0: "read_file", 1: "read_file"}
    assert [json.loads(got.arguments[place])["path"] for place in (0, 1)] == ["a.py", "b.py"]


@SHARED
async def test_a_coding_agent_sends_eleven_megabytes_and_reads_what_was_cached(
    session: aiohttp.ClientSession, platform: Running
) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{'A' * 11_000_000}"}}
    text = {"type": "text", "text": "[[tokens prompt=90 completion=2 cached=60]] What is this?"}
    asked = says("", tools=TOOLS, stream=True, stream_options={"include_usage": True})
    asked["messages"] = [{"role": "user", "content": [text, picture]}]
    body, sort = BytesIO(json.dumps(asked).encode()), {"content-type": "application/json"}
    async with session.post(f"{platform.base_url}/chat/completions", data=body, headers=sort) as answer:
        got = await gathered(answer)

    assert got.text == "What is this?"
    assert got.usage
    assert got.usage["prompt_tokens_details"]["cached_tokens"] == 60
    (record,) = await platform.records()
    assert (record.prompt_tokens, record.cached_tokens, record.completion_tokens) == (90, 60, 2)


@ON_SQLITE
async def test_librechats_fields_reach_the_upstream_and_none_has_to_be_dropped(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    upstream.answers(completion("Hi"))
    fields = {
        "user": "6650c0ffee",
        "stop": ["||>", "\nUser:"],
        "temperature": 1,
        "top_p": 1,
        "presence_penalty": 0,
        "frequency_penalty": 0,
        "safe_prompt": True,
    }
    url = f"{relaying.base_url}/chat/completions"
    async with aiohttp.ClientSession(headers=relaying.headers) as client:
        answer = await client.post(url, json=says("Hi", **fields))

    assert answer.status == 200
    sent = upstream.requests[0].json
    assert {name: sent[name] for name in fields} == fields


@SHARED
async def test_nextchat_asks_below_the_root_and_shows_what_was_used(
    session: aiohttp.ClientSession, platform: Running
) -> None:
    own = {"accept": "application/json", "x-requested-with": "XMLHttpRequest"}
    asked = says("Hi", stream=True, temperature=0.5, presence_penalty=0, frequency_penalty=0, top_p=1)
    async with session.post(f"{platform.root}/v1/chat/completions", json=asked, headers=own) as answer:
        got = await gathered(answer)
    path = f"{platform.root}/dashboard/billing"
    async with session.get(f"{path}/usage?start_date=2026-11-01&end_date=2026-11-30", headers=own) as answer:
        used = (await answer.json())["total_usage"]
    async with session.get(f"{path}/subscription", headers=own) as answer:
        allowed = (await answer.json())["hard_limit_usd"]

    assert got.text == "Hi"
    assert used == 0
    assert allowed > 0


@SHARED
async def test_open_webui_draws_speaks_and_listens(session: aiohttp.ClientSession, platform: Running) -> None:
    drawing = {"model": "echo-dall-e", "prompt": "a tree", "n": 1, "size": "512x512", "response_format": "b64_json"}
    async with session.post(f"{platform.base_url}/images/generations", json=drawing) as answer:
        drawn = b64decode((await answer.json())["data"][0]["b64_json"])
    speech = {"model": "echo-speech", "input": "one two three", "voice": "alloy"}
    async with session.post(f"{platform.base_url}/audio/speech", json=speech) as answer:
        sound = await answer.read()
    form = aiohttp.FormData({"model": "echo-whisper", "language": "en"})
    form.add_field("file", sound, filename="recording.wav", content_type="audio/wav")
    async with session.post(f"{platform.base_url}/audio/transcriptions", data=form) as answer:
        heard = (await answer.json())["text"]

    assert drawn.startswith(b"\x89PNG")
    assert heard == "one two three"
    records = await platform.records()
    assert [record.operation for record in records] == ["createImage", "createSpeech", "createTranscription"]


@SHARED
async def test_nextchat_draws_and_speaks(session: aiohttp.ClientSession, platform: Running) -> None:
    drawing = {
        "model": "echo-dall-e",
        "prompt": "a tree",
        "response_format": "b64_json",
        "n": 1,
        "size": "1024x1024",
        "quality": "standard",
        "style": "vivid",
    }
    speech = {"model": "echo-speech", "input": "one two", "voice": "alloy", "response_format": "wav", "speed": 1}
    async with session.post(f"{platform.root}/v1/images/generations", json=drawing) as answer:
        drawn = b64decode((await answer.json())["data"][0]["b64_json"])
    async with session.post(f"{platform.root}/v1/audio/speech", json=speech) as answer:
        sound = await answer.read()

    assert drawn.startswith(b"\x89PNG")
    assert sound.startswith(b"RIFF")

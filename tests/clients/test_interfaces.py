"""Chat interfaces and coding agents, each asking as it does: base URL, headers and fields, and what it reads."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator
from io import BytesIO

import aiohttp
import pytest
import pytest_asyncio

from tests.clients.interfaces import TOOLS, Body, gathered, says
from tests.databases import ON_SQLITE
from tests.faulty import Cut, FaultyUpstream, completion
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


def codex(text: str) -> Body:
    """What Codex sends each turn: nothing is kept, all that was said comes again, what it thought is sealed."""
    return {
        "model": "gpt-5-codex",
        "instructions": "Work on the code. " * 1_200,
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Sandbox: on."}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]},
            {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAAAAB-sealed"},
            {"type": "function_call", "name": "shell", "arguments": '{"command":["ls"]}', "call_id": "call_1"},
            {"type": "function_call_output", "call_id": "call_1", "output": "a.py"},
            {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch", "call_id": "call_2"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done."},
        ],
        "tools": [
            {"type": "function", "name": "shell", "strict": False, "parameters": {"type": "object", "properties": {}}},
            {
                "type": "custom",
                "name": "apply_patch",
                "description": "Changes files.",
                "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "a"'},
            },
            {"type": "web_search", "external_web_access": False},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "0199a213-81c0-7800-8aa1-bbab2a035a53",
        "client_metadata": {"x-codex-installation-id": "1"},
    }


RESPONSE: Body = {"id": "resp_1", "object": "response", "model": "gpt-5-codex", "status": "in_progress", "output": []}
THOUGHT: Body = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "gAAAAAB-next"}
USAGE: Body = {
    "input_tokens": 70,
    "input_tokens_details": {"cached_tokens": 60},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 75,
}


@ON_SQLITE
async def test_codex_sends_all_that_was_said_and_gets_its_sealed_thoughts_back(
    relaying: Running, upstream: FaultyUpstream
) -> None:
    told: list[Body] = [
        {"type": "response.created", "sequence_number": 0, "response": RESPONSE},
        {"type": "response.output_item.done", "sequence_number": 1, "output_index": 0, "item": THOUGHT},
        {
            "type": "response.completed",
            "sequence_number": 2,
            "response": RESPONSE | {"status": "completed", "output": [THOUGHT], "usage": USAGE},
        },
    ]
    upstream.streams(*(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in told), Cut)
    url = f"{relaying.base_url}/responses"
    own = {"originator": "codex_cli_rs", "session_id": "0199a213", "accept": "text/event-stream"}
    async with (
        aiohttp.ClientSession(headers=relaying.headers) as client,
        client.post(url, json=codex("Hi"), headers=own) as answer,
    ):
        text = await answer.text()

    assert answer.status == 200, text
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    assert [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks] == [
        (each["type"], each) for each in told
    ]
    assert upstream.requests[0].json == codex("Hi")
    (record,) = await relaying.records()
    assert (record.prompt_tokens, record.cached_tokens, record.completion_tokens) == (70, 60, 5)


@SHARED
async def test_n8n_lists_models_and_asks_for_responses(session: aiohttp.ClientSession, platform: Running) -> None:
    async with session.get(f"{platform.base_url}/models") as answer:
        listed = [model["id"] for model in (await answer.json())["data"]]
    asked = {
        "model": "echo",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
        "parallel_tool_calls": True,
        "store": True,
        "background": False,
    }
    async with session.post(f"{platform.base_url}/responses", json=asked) as answer:
        output = (await answer.json())["output"]

    assert "echo" in listed
    assert [part["text"] for item in output for part in item["content"]] == ["Hi"]

"""The echo model alone, on a real socket, asked by the official SDK and by a plain client."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator

import aiohttp
import openai
import orjson
import pytest

from llm_backend.model_ids import seems_to_chat
from llm_backend.upstream.echo.server import EchoServer
from tests.upstream.echo.asking import Asker, Json, chat


@pytest.fixture
async def client(server: EchoServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"{server.base_url}/", auto_decompress=False) as session:
        yield session


@pytest.mark.parametrize(
    "text",
    ["Hello wörld", "[[words 300]] x", "[[fault gzip]] x", "[[fault bytewise]] ö", "[[fault 429 retry-after=3]]"],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_socket_carries_the_same_bytes_as_the_process(
    client: aiohttp.ClientSession,
    ask: Asker,
    text: str,
    stream: bool,  # noqa: FBT001 (parametrised)
) -> None:
    inside = await ask.chat(text, stream=stream)

    async with client.post("chat/completions", data=orjson.dumps(chat(text, stream=stream))) as answer:
        body = await answer.read()

    assert (answer.status, body) == (inside.status, inside.body)
    assert {name.lower(): value for name, value in answer.headers.items()}.items() >= inside.headers.items()


async def test_paths_work_with_and_without_v1(server: EchoServer, client: aiohttp.ClientSession) -> None:
    root = server.base_url.removesuffix("/v1")

    statuses = [
        (await client.get(f"{root}{path}")).status for path in ("/models", "/v1/models", "/v1/nowhere", "/echo/calls")
    ]

    assert statuses == [200, 200, 404, 200]


async def test_the_log_of_calls_can_be_read(client: aiohttp.ClientSession) -> None:
    await (await client.post("chat/completions", json=chat("a b"))).read()

    calls = (await (await client.get("echo/calls")).json())["data"]

    assert [(call["path"], call["status"], call["ending"], call["completion_tokens"]) for call in calls] == [
        ("/chat/completions", 200, "complete", 2)
    ]


async def test_a_client_that_leaves_a_hanging_answer_is_noticed(
    server: EchoServer, client: aiohttp.ClientSession
) -> None:
    request = chat("[[fault hang-mid-stream after=1]] a b", stream=True)
    answer = await client.post("chat/completions", json=request)
    await answer.content.readuntil(b"\n\n")

    answer.close()

    assert await server.echo.calls[0].ended() == "cut"


async def test_a_client_that_leaves_a_huge_answer_is_noticed(server: EchoServer, client: aiohttp.ClientSession) -> None:
    answer = await client.post("chat/completions", json=chat("[[fault huge-body]] a"))
    await answer.content.readexactly(1000)

    answer.close()

    assert await server.echo.calls[0].ended() == "cut"


@pytest.mark.parametrize("fault", ["refused", "reset-headers"])
async def test_a_broken_connection_is_one_on_the_socket(client: aiohttp.ClientSession, fault: str) -> None:
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.post("chat/completions", json=chat(f"[[fault {fault}]] a"))


async def test_a_reset_stream_is_reset_on_the_socket(client: aiohttp.ClientSession) -> None:
    answer = await client.post("chat/completions", json=chat("[[fault reset]] a b", stream=True))

    with pytest.raises(aiohttp.ClientError):
        await answer.read()


async def test_a_body_that_is_too_large_is_refused(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_backend.upstream.echo.intake.MOST_BYTES", 1000)

    async with client.post("chat/completions", data=b"x" * 2000) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["code"] == "request_too_large"


@pytest.mark.parametrize(
    "body",
    [b"", b"--x\r\n\r\nno name\r\n--x--\r\n", b'--x\r\ncontent-disposition: form-data; name="file"\r\n\r\nno end'],
)
async def test_a_broken_form_is_refused(client: aiohttp.ClientSession, body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}

    async with client.post("audio/transcriptions", data=body, headers=headers) as answer:
        assert answer.status == 400


async def test_a_file_that_is_too_large_is_refused(
    client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_backend.upstream.echo.intake.MOST_BYTES", 1000)
    form = aiohttp.FormData({"model": "echo-whisper"})
    form.add_field("file", b"x" * 2000, filename="a.wav")

    async with client.post("audio/transcriptions", data=form) as answer:
        assert answer.status == 413


async def test_the_sdk_lists_and_retrieves_models(sdk: openai.AsyncOpenAI) -> None:
    listed = [model.id async for model in sdk.models.list()]

    assert [name for name in listed if seems_to_chat(name)] == ["echo", "echo-reasoning"]
    assert (await sdk.models.retrieve("echo")).owned_by == "llm-backend"


async def test_the_sdk_reads_a_stream_with_usage(sdk: openai.AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="echo",
        messages=[{"role": "user", "content": "Hello big world"}],
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = [chunk async for chunk in stream]

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Hello big world"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 3


async def test_the_sdks_stream_helper_gathers_tool_calls(sdk: openai.AsyncOpenAI) -> None:
    tools: Json = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("f", "g")]
    messages: Json = [{"role": "user", "content": "[[tool f x=1]] [[tool g]] Hello"}]

    async with sdk.chat.completions.stream(model="echo", messages=messages, tools=tools) as stream:
        final = await stream.get_final_completion()

    calls = final.choices[0].message.tool_calls
    assert calls is not None
    assert [(call.function.name, call.function.arguments) for call in calls] == [("f", '{"x": 1}'), ("g", "{}")]


async def test_the_sdk_decodes_embeddings_from_base64(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.embeddings.create(model="echo-embedding", input=["Hello", "Hello"])

    assert len(answer.data[0].embedding) == 64
    assert answer.data[0].embedding == answer.data[1].embedding


async def test_the_sdk_raises_its_typed_errors(sdk: openai.AsyncOpenAI) -> None:
    messages: Json = [{"role": "user", "content": "Hello"}]

    with pytest.raises(openai.RateLimitError) as limited:
        await sdk.chat.completions.create(model="echo-fault-429:retry-after=3", messages=messages)
    with pytest.raises(openai.NotFoundError):
        await sdk.chat.completions.create(model="nobody", messages=messages)
    with pytest.raises(openai.APIConnectionError):
        await sdk.chat.completions.create(model="echo-fault-refused", messages=messages)

    assert limited.value.response.headers["retry-after"] == "3"


async def test_the_command_serves_until_it_is_told_to_stop() -> None:
    script = "import typer; from llm_backend.cli.echo import echo; typer.run(echo)"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        "--port",
        "0",
        "--model",
        "mine",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ},
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
    async with aiohttp.ClientSession() as session, session.get(f"{url}/models/mine") as answer:
        assert answer.status == 200

    process.send_signal(signal.SIGTERM)

    assert await process.wait() == 0

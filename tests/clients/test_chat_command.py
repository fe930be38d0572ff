"""`llm-backend chat`, run as a process, with what is typed piped into it."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import orjson
import pytest

from tests.clients.processes import Finished, finished, fresh_environment
from tests.databases import ON_SQLITE
from tests.faulty import Cut, FaultyUpstream, chunk, closed_port
from tests.serving import Running

SHARED = pytest.mark.asyncio(loop_scope="module")
"""For what can be asked of the server that all of a module's tests share."""

COMMAND = (sys.executable, "-m", "llm_backend", "chat")


async def chatted(running: Running, folder: Path, *words: str, typed: str = "Hello there\n") -> Finished:
    """What the command prints, run in `folder`, with the server's key."""
    asked = (*COMMAND, *words, "--base-url", running.base_url)
    return await finished(*asked, cwd=folder, stdin=typed, LLM_BACKEND_KEY=running.key)


@SHARED
async def test_each_line_is_answered_and_the_conversation_remembered(platform: Running, tmp_path: Path) -> None:
    said = await chatted(platform, tmp_path, "echo", typed="Hello there\nGrüße\n\nnever asked\n")

    assert (said.code, said.out, said.err) == (0, "Hello there\nGrüße\n", "")
    records = await platform.records()
    assert [(record.model, record.stream, record.status) for record in records] == [("echo", True, "completed")] * 2
    assert [record.prompt_tokens for record in records] == [2, 5]


@SHARED
async def test_alone_it_finds_the_server_the_key_of_make_run_and_the_first_model(
    platform: Running, tmp_path: Path
) -> None:
    keep_key(platform, tmp_path)

    said = await finished(*COMMAND, cwd=tmp_path, stdin="Hello\n", PORT=str(platform.port))

    assert (said.code, said.out, said.err) == (0, "Hello\n", "")
    (record,) = await platform.records()
    assert record.model == "echo"


@SHARED
async def test_the_servers_settings_are_read_wherever_they_stand(platform: Running, tmp_path: Path) -> None:
    keep_key(platform, tmp_path)
    (tmp_path / ".env").write_text("LLM_BACKEND_CONFIG=llm.toml\n")
    (tmp_path / "llm.toml").write_text(f'port = {platform.port}\ndefault_model = "echo-reasoning"\n')

    said = await finished(*COMMAND, cwd=tmp_path, stdin="Hello\n")

    assert (said.code, said.out, said.err) == (0, "Hello\n", "")
    (record,) = await platform.records()
    assert record.model == "echo-reasoning"


@ON_SQLITE
async def test_a_model_that_does_not_chat_is_not_chosen(
    relaying: Running, upstream: FaultyUpstream, tmp_path: Path
) -> None:
    upstream.answers({"object": "list", "data": [{"id": "text-embedding-3"}, {"id": "small"}]})
    upstream.streams("Hi")

    said = await chatted(relaying, tmp_path)

    assert (said.code, said.out) == (0, "Hi\n")
    assert orjson.loads(upstream.requests[-1].body)["model"] == "small"


def keep_key(running: Running, folder: Path) -> None:
    """As `make run` does."""
    (folder / ".dev").mkdir()
    (folder / ".dev" / "api_key").write_text(f"{running.key}\n")


@ON_SQLITE
async def test_words_are_printed_as_they_come(patient: Running, upstream: FaultyUpstream, tmp_path: Path) -> None:
    first_word_read = asyncio.Event()
    upstream.streams("one", first_word_read, " two")
    command = (*COMMAND, "m", "--base-url", patient.base_url, "--key", patient.key)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, env=fresh_environment(), stdin=PIPE, stdout=PIPE
    )
    assert process.stdin
    assert process.stdout

    process.stdin.write(b"Hi\n")
    first = await process.stdout.readexactly(3)
    first_word_read.set()
    process.stdin.close()
    rest, _ = await process.communicate()

    assert (first, rest) == (b"one", b" two\n")


async def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with closed_port() as port:
        said = await finished(*COMMAND, "echo", cwd=tmp_path, stdin="Hi\n", PORT=str(port))

    assert (said.code, said.out) == (1, "")
    hint = "`make run` starts one; PORT or --base-url says where another is."
    assert said.err == f"No server answers at http://127.0.0.1:{port}/v1. {hint}\n"


@SHARED
async def test_a_wrong_key_is_one_line(platform: Running, tmp_path: Path) -> None:
    said = await chatted(platform, tmp_path, "--key", "sk-lb-wrong")

    assert (said.code, said.out) == (1, "")
    assert said.err == "The server refused: Incorrect API key provided.\n"


@SHARED
async def test_a_model_that_does_not_exist_is_one_line(platform: Running, tmp_path: Path) -> None:
    said = await chatted(platform, tmp_path, "gpt-9")

    assert said.code == 1
    assert "gpt-9" in said.err
    assert said.err.count("\n") == 1


@ON_SQLITE
async def test_an_answer_that_breaks_off_is_one_line_after_its_words(
    relaying: Running, upstream: FaultyUpstream, tmp_path: Path
) -> None:
    upstream.streams(chunk("Hel"), Cut)

    said = await chatted(relaying, tmp_path, "m")

    assert (said.code, said.out) == (1, "Hel\n")
    assert said.err == "The answer broke off: The upstream's answer ended before it was complete.\n"


@ON_SQLITE
async def test_a_server_that_lists_no_model_is_one_line(
    relaying: Running, upstream: FaultyUpstream, tmp_path: Path
) -> None:
    upstream.answers({"object": "list", "data": []})

    said = await chatted(relaying, tmp_path)

    assert said.code == 1
    assert said.err == "The server lists no model that chats: name one, as in `llm-backend chat MODEL`.\n"

"""`llm-backend dev`, on a fresh machine: what it prints can be pasted."""

import asyncio
import json
import os
import shlex
import shutil
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from llm_backend.domain.keys import public_id_of
from llm_backend.storage.database import Database
from tests.clients.processes import Finished, finished, fresh_environment
from tests.databases import ON_POSTGRESQL
from tests.faulty import FaultyUpstream, closed_port

CURL = pytest.mark.skipif(
    shutil.which("curl") is None and os.environ.get("CI") != "true", reason="curl is not installed"
)
COMMAND = (sys.executable, "-m", "llm_backend", "dev")


@asynccontextmanager
async def printed(folder: Path, **environment: str) -> AsyncIterator[list[str]]:
    """The lines that the command prints until it takes connections."""
    with closed_port() as port:
        pass
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--port", str(port), cwd=folder, env=fresh_environment(**environment), stdout=PIPE, stderr=STDOUT
    )
    assert process.stdout
    lines: list[str] = []
    while (line := (await process.stdout.readline()).decode()) and "Uvicorn running" not in line:
        lines.append(line.rstrip())
    try:
        yield lines
    finally:
        process.terminate()
        await process.communicate()


@CURL
@pytest.mark.parametrize(
    ("toml", "model"),
    [
        ("", "echo"),
        ('default_model = "echo-reasoning"', "echo-reasoning"),
        ('[models."it\'s"]\nupstream_model = "echo"\n[models.second]\n', "it's"),
        ('[aliases]\nmini = "echo"\n', "mini"),
    ],
    ids=["nothing", "default", "models", "aliases"],
)
async def test_the_curl_line_that_it_prints_works_when_pasted(tmp_path: Path, toml: str, model: str) -> None:
    (tmp_path / "llm.toml").write_text(toml)
    async with printed(tmp_path, LLM_BACKEND_CONFIG="llm.toml") as lines:
        (line,) = (line for line in lines if line.startswith("curl "))

        pasted = await asyncio.create_subprocess_exec(*shlex.split(line), "-sS", stdout=PIPE)
        out, _ = await pasted.communicate()

    answer = json.loads(out)
    assert answer["choices"][0]["message"]["content"] == "Hello there"
    assert answer["model"] == model


async def test_a_port_that_is_taken_is_one_line_and_nothing_is_promised(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await refused(tmp_path, PORT=str(port))

    assert said.err == f"llm-backend: cannot listen on 127.0.0.1:{port}: the port is taken. HOST and PORT say where.\n"


async def test_an_address_of_another_machine_is_one_line(tmp_path: Path) -> None:
    said = await refused(tmp_path, HOST="2001:db8::1")

    assert said.err.startswith("llm-backend: cannot listen on [2001:db8::1]:8000: ")
    assert said.err.count("\n") == 1


@ON_POSTGRESQL
async def test_a_database_that_is_away_costs_no_key(tmp_path: Path, database: Database) -> None:
    settings = {"DATABASE_URL": database.url, "SECRET_KEY": "s" * 32}
    async with printed(tmp_path, **settings) as lines:
        assert [line for line in lines if line.startswith("API key")]
    key = tmp_path / ".dev" / "api_key"
    before = key.read_text()

    async with database.begin() as session:
        await session.execute(text("LOCK TABLE api_key IN ACCESS EXCLUSIVE MODE"))
        said = await refused(tmp_path, PORT="0", **settings)

    assert said.err == "llm-backend: The database is not available.\n"
    assert key.read_text() == before


async def test_a_key_of_another_database_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".dev").mkdir()
    key = tmp_path / ".dev" / "api_key"
    key.write_text("sk-lb-of-another-database\n")

    async with printed(tmp_path) as lines:
        assert f"API key      {key.read_text().strip()}" in lines
        assert any(
            line.startswith("The database does not know the development key any more")
            and line.endswith("run `export KEY=$(cat .dev/api_key)` again.")
            for line in lines
        )


async def test_a_key_that_was_lost_is_revoked_when_another_takes_its_place(tmp_path: Path) -> None:
    async with printed(tmp_path) as lines:
        (first,) = keys_in(lines)
    shutil.rmtree(tmp_path / ".dev")

    async with printed(tmp_path) as lines:
        (second,) = keys_in(lines)
        revoked = [line for line in lines if line.startswith("Revoked ")]

    assert second != first
    assert [public_id_of(first) in line for line in revoked] == [True]
    async with printed(tmp_path) as lines:
        assert keys_in(lines) == [second]
        assert not [line for line in lines if line.startswith("Revoked ")]


async def test_with_an_upstream_of_ones_own_the_curl_line_names_the_first_model_that_chats(tmp_path: Path) -> None:
    models = [{"id": "nomic-embed-text", "object": "model"}, {"id": "llama3.2:3b", "object": "model"}]
    async with FaultyUpstream() as upstream:
        upstream.answers({"object": "list", "data": models})
        async with printed(tmp_path, OPENAI_BASE_URL=upstream.base_url) as lines:
            assert model_in(lines) == "llama3.2:3b"


async def test_an_upstream_that_is_away_is_warned_of_and_does_not_keep_the_server_from_starting(tmp_path: Path) -> None:
    with closed_port() as port:
        async with printed(tmp_path, OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1") as lines:
            assert "warning: the upstream does not answer (does the address need /v1?)" in lines
            assert model_in(lines) == "gpt-4"


async def test_an_upstream_without_a_list_is_warned_of(tmp_path: Path) -> None:
    async with FaultyUpstream() as upstream:
        upstream.answers({"error": {"message": "404 page not found"}}, status=404)
        async with printed(tmp_path, OPENAI_BASE_URL=upstream.base_url) as lines:
            assert "warning: the upstream lists no models (does the address need /v1?)" in lines


async def test_an_upstream_that_refuses_the_key_is_not_taken_for_a_wrong_address(tmp_path: Path) -> None:
    async with FaultyUpstream() as upstream:
        upstream.answers({"error": {"message": "no"}}, status=401)
        async with printed(tmp_path, OPENAI_BASE_URL=upstream.base_url) as lines:
            (warning,) = (line for line in lines if line.startswith("warning: "))

    assert "credentials" in warning
    assert "/v1" not in warning


@CURL
async def test_in_open_mode_no_key_is_made_or_pasted(tmp_path: Path) -> None:
    async with printed(tmp_path, AUTH="open") as lines:
        (line,) = (line for line in lines if line.startswith("curl "))
        pasted = await asyncio.create_subprocess_exec(*shlex.split(line), "-sS", stdout=PIPE)
        out, _ = await pasted.communicate()

    assert json.loads(out)["choices"][0]["message"]["content"] == "Hello there"
    assert "API key      none is needed (AUTH=open)" in lines
    assert "Authorization" not in line
    assert not (tmp_path / ".dev" / "api_key").exists()


def keys_in(lines: list[str]) -> list[str]:
    """The key that is printed, once."""
    return [line.split()[-1] for line in lines if line.startswith("API key")]


def model_in(lines: list[str]) -> str:
    """The model that the curl line asks."""
    (line,) = (line for line in lines if line.startswith("curl "))
    model: str = json.loads(shlex.split(line)[-1])["model"]
    return model


async def refused(folder: Path, **environment: str) -> Finished:
    """What the command says where it does not begin to serve."""
    said = await finished(*COMMAND, cwd=folder, **environment)
    assert (said.code, said.out) == (1, "")
    return said

"""Compiled from OpenAI's published document in place of the package, the server is the same server."""

import shutil
from pathlib import Path

import aiohttp
import pytest

from llm_backend import app
from llm_backend.contract.compile.document import written
from llm_backend.contract.compile.overlay import load
from llm_backend.contract.compile.published import compile_published
from llm_backend.errors import Json
from llm_backend.resources import resource
from tests.contract.compile.conftest import published
from tests.databases import ON_SQLITE
from tests.serving import serving

__all__ = ["published"]


@ON_SQLITE
async def test_a_server_on_the_published_document_serves_chat_and_models(
    published: Json, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "spec"
    shutil.copytree(resource("spec"), folder)
    (folder / "openai.json").write_bytes(written(compile_published(published, load(folder, strict=False))))
    monkeypatch.setattr(app, "resource", lambda name: {"spec": folder}[name])
    hello = {"model": "echo", "messages": [{"role": "user", "content": "Hello there"}]}

    async with (
        serving(database_url, tmp_path) as running,
        aiohttp.ClientSession(running.base_url + "/", headers=running.headers) as client,
    ):
        chat = await client.post("chat/completions", json=hello)
        said = await chat.json()
        faulty = await client.post("chat/completions", json=hello | {"messages": [{"role": "user"}]})
        refused = await faulty.json()
        models = await (await client.get("models")).json()
        unserved = await client.post("videos", json={})

    assert said["choices"][0]["message"]["content"] == "Hello there"
    assert (faulty.status, refused["error"]["param"]) == (400, "messages[0].content")
    assert "echo" in [model["id"] for model in models["data"]]
    assert unserved.status == 501

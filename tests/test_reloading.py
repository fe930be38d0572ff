"""Settings that change while requests run."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import structlog

from tests.databases import ON_SQLITE
from tests.faults.asking import Answered, asked, saying
from tests.faulty import FaultyUpstream, chunk, completion, usage
from tests.serving import Running, serving

FILE = """
port = 8123
[upstreams.first]
url = "{first}"
[models.small]
input_microusd_per_million = 1_000_000
"""
MORE = (
    FILE
    + """
[upstreams.second]
url = "{second}"
[models.large]
upstream = "second"
input_microusd_per_million = 7_000_000
requests_per_minute = 1
[aliases]
mini = "small"
"""
)
GONE = """
[upstreams.second]
url = "{second}"
[models.large]
"""


@dataclass
class Changing:
    """A server whose file a test writes anew."""

    running: Running
    first: FaultyUpstream
    second: FaultyUpstream
    file: Path
    log: list[MutableMapping[str, Any]]

    async def reads(self, text: str) -> None:
        """Returns once the file with this text has been looked at."""
        before = self._looked()
        self.file.write_text(text.format(first=self.first.base_url, second=self.second.base_url))
        await self.has_looked(before)

    async def has_looked(self, before: int) -> None:
        async with asyncio.timeout(30):
            while self._looked() == before:  # noqa: ASYNC110 (what is waited for is a line of the log)
                await asyncio.sleep(0.005)

    def _looked(self) -> int:
        return len(self.told("settings_reloaded")) + len(self.told("settings_refused"))

    def told(self, event: str) -> list[MutableMapping[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    async def ask(self, model: str, **options: Any) -> Answered:
        return await asked(self.running, saying("Hello there") | {"model": model}, **options)

    async def listed(self) -> set[str]:
        async with (
            aiohttp.ClientSession(headers=self.running.headers) as client,
            client.get(f"{self.running.base_url}/models") as answer,
        ):
            return {model["id"] for model in orjson.loads(await answer.read())["data"]}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_backend.parts.LOOK_SECONDS", 0.01)


@pytest.fixture
async def changing(database_url: str, tmp_path: Path) -> AsyncIterator[Changing]:
    async with FaultyUpstream() as first, FaultyUpstream() as second:
        for upstream in (first, second):
            upstream.answers(completion("Hello"))
        text = FILE.format(first=first.base_url)
        async with serving(database_url, tmp_path, toml=text) as running:
            with structlog.testing.capture_logs() as log:
                yield Changing(running, first, second, tmp_path / "llm-backend.toml", log)


@ON_SQLITE
async def test_what_the_file_says_holds_without_a_new_start(changing: Changing) -> None:
    before = await changing.ask("large")
    await changing.ask("small")
    kept = changing.running.services.upstreams.get("first")

    await changing.reads(MORE)
    answers = [await changing.ask(model) for model in ("small", "mini", "large", "large")]

    assert before.status == 404
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert await changing.listed() == {"small", "large", "mini"}
    assert [record.cost_microusd for record in await changing.running.records()] == [3, 3, 3, 21]
    assert changing.running.services.upstreams.get("first") is kept
    assert (changing.first.connections, changing.second.connections) == (1, 1)
    assert b'settings_reloads_total{outcome="adopted"} 1.0' in changing.running.services.metrics.text()


@ON_SQLITE
async def test_a_wrong_file_changes_nothing_and_is_told_in_one_line(changing: Changing) -> None:
    await changing.reads(MORE)

    await changing.reads(MORE + "[models.broken]\nupstream = 'nowhere'\nfallback = ['none']\n")

    (line,) = changing.told("settings_refused")
    assert 'models."broken" names the upstream "nowhere"' in line["problems"]
    assert 'fallback names "none"' in line["problems"]
    assert await changing.listed() == {"small", "large", "mini"}
    assert b'settings_reloads_total{outcome="refused"} 1.0' in changing.running.services.metrics.text()


@ON_SQLITE
async def test_what_runs_keeps_its_way_and_an_upstream_that_is_gone_closes_behind_it(changing: Changing) -> None:
    changing.first.forget()
    changing.first.streams("Hel", held := asyncio.Event(), "lo", chunk(finish="stop"), usage(3, 2))
    asking = asyncio.create_task(changing.ask("small", stream=True))
    received = await changing.first.received()
    session = changing.running.services.upstreams.get("first")._transport._session  # type: ignore[attr-defined]

    await changing.reads(GONE)
    missing = await changing.ask("small")
    held.set()
    answer = await asking

    assert (answer.said, answer.is_done) == ("Hello", True)
    assert missing.status == 404
    await changing.running.quiet()
    assert session.closed
    await received.gone.wait()
    assert [record.cost_microusd for record in await changing.running.records()] == [3]


@ON_SQLITE
async def test_what_needs_a_new_start_is_named(changing: Changing) -> None:
    await changing.reads(
        FILE.replace("8123", "8124") + "[timeouts]\ntotal_seconds = 5\n[limits]\nkeep_alive_seconds = 3\n"
    )

    (line,) = changing.told("settings_need_a_restart")
    assert line["names"] == "port, limits, timeouts.total_seconds"


@ON_SQLITE
async def test_a_hangup_has_the_same_file_read_again(changing: Changing) -> None:
    changing.running.server.handle_reload(signal.SIGHUP, None)
    await changing.has_looked(0)

    assert len(changing.told("settings_reloaded")) == 1
    assert changing.told("settings_need_a_restart") == []


@ON_SQLITE
async def test_no_client_and_no_tls_context_is_made_for_a_request(
    changing: Changing, monkeypatch: pytest.MonkeyPatch
) -> None:
    connectors = _counted(monkeypatch, aiohttp.TCPConnector, "__init__")
    contexts = _counted(monkeypatch, ssl, "create_default_context")
    await changing.reads(MORE)

    async with aiohttp.ClientSession(headers=changing.running.headers) as client:
        for model in ("small", "small", "large", "small", "mini"):
            body = saying("Hello there") | {"model": model}
            async with client.post(f"{changing.running.base_url}/chat/completions", json=body) as answer:
                assert answer.status == 200

    # The test's own client, and one for each upstream.
    assert (len(connectors), contexts) == (3, [])
    assert (changing.first.connections, changing.second.connections) == (1, 1)


def _counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[str]:
    """Names `name` whenever it is called."""
    called: list[str] = []
    original = getattr(owner, name)

    def counting(*args: Any, **options: Any) -> Any:
        called.append(name)
        return original(*args, **options)

    monkeypatch.setattr(owner, name, counting)
    return called

"""A server with two upstreams that do as they are told, and models that both can answer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from llm_backend.errors import Json
from llm_backend.storage.invariants import violations
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.resting import Rests
from llm_backend.upstream.retries import Retries
from tests.faults.asking import Answered, asked, saying
from tests.faults.paying import Payer
from tests.faults.stage import Told, told
from tests.faulty import FaultyUpstream, chunk, closed_port, completion, usage
from tests.handlers.administering import Admin, administering
from tests.serving import Running, serving

TOML = """
[upstreams.first]
url = "{first}"
key = "sk-first-0123456789"
[upstreams.second]
url = "{second}"
key = "sk-second-0123456789"
output_cap_field = "max_completion_tokens"
[upstreams.gone]
url = "http://127.0.0.1:{gone}/v1"

[models.main]
upstream = "first"
upstream_model = "main-there"
fallback = ["other"]
input_microusd_per_million = 1_000_000
output_microusd_per_million = 1_000_000
[models.orphan]
upstream = "gone"
fallback = ["other"]
[models.careful]
upstream = "first"
fallback = ["other"]
fallback_on = ["context", "content"]
[models.other]
upstream = "second"
shutdown_date = 2031-05-01
successor = "main"
input_microusd_per_million = 5_000_000
output_microusd_per_million = 5_000_000
[models.pooled]
upstreams = [{{ name = "first", model = "a" }}, {{ name = "second", model = "b" }}]
[models.dear]
upstream = "first"
fallback = ["dearest"]
[models.dearest]
upstream = "second"
output_microusd_per_million = 1_000_000_000_000
[models.orphan-of-narrow]
upstream = "first"
fallback = ["narrow"]
[models.narrow]
upstream = "second"
requests_per_minute = 1
[models.mannered]
upstream = "first"
output_cap_field = "max_completion_tokens"
defaults = {{ temperature = 0.25, max_tokens = 7 }}
[models."wild-*"]
upstream = "second"

[timeouts]
first_byte_seconds = 1
stream_first_byte_seconds = 1
idle_seconds = 1
"""
EVENTS = "text/event-stream"
LOST: Told = ("failed", "void", "upstream_unreachable")
GOOD: Told = ("completed", "reported", None)


@dataclass(frozen=True)
class Two:
    """A server, and two upstreams that have not been told anything yet."""

    running: Running
    first: FaultyUpstream
    second: FaultyUpstream
    admin: Admin
    client: httpx.AsyncClient
    _before: int

    async def told(self) -> list[tuple[str, str, Told]]:
        """Of each record of this test: the model that was asked for, the upstream, and how it ended."""
        records = (await self.running.records())[self._before :]
        return [(record.model, record.upstream, told(record)) for record in records]

    async def payer(self, **terms: Json) -> Payer:
        name = f"payer {len(await self.admin.ask('GET', '/accounts'))}"
        return Payer(self.running, await self.admin.account(name, **terms), self.client)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(
    module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Running, FaultyUpstream, FaultyUpstream, Admin]]:
    folder = tmp_path_factory.mktemp("fallback")
    with closed_port() as gone:
        async with FaultyUpstream() as first, FaultyUpstream() as second:
            toml = TOML.format(first=first.base_url, second=second.base_url, gone=gone)
            async with serving(module_database, folder, toml=toml) as running, administering(running) as admin:
                yield running, first, second, admin
                await running.quiet()
                async with running.database.reading() as session:
                    assert await violations(session) == []


@pytest_asyncio.fixture(loop_scope="module")
async def two(served: tuple[Running, FaultyUpstream, FaultyUpstream, Admin]) -> AsyncIterator[Two]:
    running, first, second, admin = served
    for upstream in running.services.upstreams:
        upstream._circuit, upstream.rests = Circuit(), Rests()
        upstream.retries = Retries(lambda _least, _most: 0.0)
    first.forget()
    second.forget()
    second.answers(completion("Hello"))
    async with httpx.AsyncClient(base_url=running.root, timeout=60) as client:
        yield Two(running, first, second, admin, client, len(await running.records()))
    assert running.services.exchanges._bench.metering.unsettled == 0


async def to(two: Two, model: str, *, stream: bool = False, **options: Json) -> Answered:
    if stream:
        two.second.forget()
        two.second.streams("Hello", chunk(finish="stop"), usage(3, 2))
    return await asked(two.running, saying("Hello there") | {"model": model, **options}, stream=stream)

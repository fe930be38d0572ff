"""One server for each module of this folder: what stands between two tests is put back as it was."""

import asyncio
import gc
import logging
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

from llm_backend import logs
from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.retries import Retries
from tests.databases import BOTH, Lending
from tests.faults.stage import Stage
from tests.faulty import FaultyUpstream
from tests.serving import Running, serving

DEADLINES = """
[timeouts]
first_byte_seconds = 1
stream_first_byte_seconds = 1
idle_seconds = 1
"""
CANARY = "sk-upstream-canary-0123456789abcdef"


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """What the environment of the module's server says besides; a module may say something."""
    return {}


@pytest.fixture(scope="module", params=BOTH[:1])
def module_database(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    migrated_file: Path,
    variables: dict[str, str],
) -> Iterator[str]:
    """A migrated database for the tests of one module; SQLite unless the module asks for both."""
    if request.param == "sqlite":
        file = tmp_path_factory.mktemp("module") / "test.db"
        shutil.copy(migrated_file, file)
        yield f"sqlite:///{file}"
        return
    lending: Lending = request.getfixturevalue("lending")
    with lending.lent() as url:
        yield url


@pytest.fixture(scope="module")
def toml() -> str:
    """What the module's server is configured with; a module may say something else."""
    return DEADLINES


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(
    module_database: str, tmp_path_factory: pytest.TempPathFactory, toml: str, variables: dict[str, str]
) -> AsyncIterator[tuple[Running, FaultyUpstream]]:
    folder = tmp_path_factory.mktemp("relay")
    async with FaultyUpstream() as upstream:
        told: dict[str, Any] = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_API_KEY": CANARY, **variables}
        async with serving(module_database, folder, toml=toml, **told) as running:
            yield running, upstream


@pytest_asyncio.fixture(loop_scope="module")
async def stage(relay: tuple[Running, FaultyUpstream]) -> AsyncIterator[Stage]:
    """The server, and an upstream on a raw socket that has not been told anything yet."""
    running, upstream = relay
    upstream.forget()
    asked = running.services.upstreams.default
    asked._circuit = Circuit()
    # Waiting between attempts has tests of its own.
    asked.retries = Retries(lambda _least, _most: 0.0)
    with structlog.testing.capture_logs() as lines:
        yield Stage(running, upstream, lines, len(await running.records()))
        await running.quiet()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("exchange")]
    assert running.services.exchanges._bench.metering.unsettled == 0


@pytest.fixture(autouse=True, scope="module")
def nothing_fails_unheard() -> Iterator[None]:
    """No task that failed without anyone asking, no connection that was forgotten: asyncio would only log it."""
    heard: list[str] = []
    listener = logging.Handler(logging.WARNING)
    listener.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("asyncio").addHandler(listener)
    yield
    gc.collect()
    logging.getLogger("asyncio").removeHandler(listener)
    assert not heard


@pytest.fixture
def written_log(tmp_path: Path) -> Iterator[Path]:
    """Where everything logged goes, as an operator would have it; the test's loggers are put back afterwards."""
    file = tmp_path / "log.jsonl"
    handlers, level = logging.root.handlers[:], logging.root.level
    with file.open("w") as stream:
        logs.configure("INFO", secrets=[CANARY], stream=stream)
        yield file
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        structlog.reset_defaults()

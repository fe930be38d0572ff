"""What the running server does not load: each would cost every process memory, and every start time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.whole.standing import environment

STARTED = """
import asyncio, json, sys
from llm_backend.edge.serving import Serving
from llm_backend.app import from_environment
from llm_backend.edge.server import server

async def start():
    running = server(from_environment(), Serving(port=0))
    task = asyncio.create_task(running.serve())
    while not running.started:
        await asyncio.sleep(0.01)
    running.should_exit = True
    await task

{prepare}
asyncio.run(start())
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
PREPARE = """
from llm_backend.storage import schema
asyncio.run(schema.ensure("sqlite:///llm-backend.db"))
"""


def loaded(folder: Path, prepare: str = "") -> set[str]:
    """The packages of a process that has started the application as a worker does."""
    done = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, "-c", STARTED.format(prepare=prepare)],
        cwd=folder, env=environment(SECRET_KEY="x" * 32), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Of a worker whose database was made before, as that of `serve` always is."""
    folder = tmp_path_factory.mktemp("footprint")
    loaded(folder, PREPARE)
    return loaded(folder)


@pytest.mark.parametrize(
    "name", ["openai", "tiktoken", "redis", "typer", "asyncpg", "alembic", "mako", "swagger_ui", "cryptography"]
)
def test_a_worker_does_not_load_what_it_does_not_use(packages: set[str], name: str) -> None:
    assert name not in packages


def test_a_worker_loads_what_it_uses(packages: set[str]) -> None:
    assert {"connexion", "aiohttp", "sqlalchemy", "jsonschema_rs", "yaml", "aiosqlite", "llm_backend"} <= packages


def test_a_worker_looks_for_garbage_less_often_than_python_would(tmp_path: Path) -> None:
    code = "import gc; usual = gc.get_threshold(); from llm_backend.app import from_environment; from_environment()"
    told = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, "-c", f"{code}; print(gc.get_threshold()[0] / usual[0], gc.isenabled())"],
        cwd=tmp_path, env=environment(SECRET_KEY="x" * 32), capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip

    assert (float(told[0]) > 1, told[1]) == (True, "True")


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_what_is_made_of_the_contract_takes_little_memory(tmp_path: Path) -> None:
    """Of the validators of responses and conversations alone each takes two megabytes: they are made when needed."""
    made = "from llm_backend.app import from_environment; before = resident(); made = from_environment()"
    read = "resident = lambda: int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize()"
    told = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, "-c", f"import resource; {read}; {made}; print(resident() - before)"],
        cwd=tmp_path, env=environment(SECRET_KEY="x" * 32), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    assert int(told) < 28_000_000

"""200 at once against the last 100 tokens: as many as fit, nothing overspent, nobody refused for good too early.

`PROOF=1` (`make proof`) runs 100 rounds on each database and with two processes, where CI runs two, two and one.
"""

import os
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import aiohttp
import pytest

from llm_backend.storage.database import Database
from tests.databases import ON_POSTGRESQL
from tests.proof.racing import Gate, Race, raced
from tests.serving import SECRET_KEY, serving
from tests.whole.standing import environment, standing

IS_WHOLE = os.environ.get("PROOF") == "1"
ROUNDS = 100 if IS_WHOLE else 2
ROUNDS_OF_TWO = 100 if IS_WHOLE else 1
KEY = "sk-upstream-canary-0123456789abcdef"


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    async with Gate() as upstream:
        yield upstream


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


async def test_exactly_as_many_as_fit_are_admitted(
    database_url: str, tmp_path: Path, gate: Gate, client: aiohttp.ClientSession
) -> None:
    # Row 60
    async with serving(database_url, tmp_path, OPENAI_BASE_URL=gate.base_url, OPENAI_API_KEY=KEY) as running:
        for _ in range(ROUNDS):
            race = await Race.of(running.database, gate, client, [running.root])
            await raced(race)


@ON_POSTGRESQL
async def test_two_processes_admit_together_exactly_as_many_as_fit(
    database_url: str, tmp_path: Path, gate: Gate, client: aiohttp.ClientSession
) -> None:
    # Row 60, E5
    upstream = {"OPENAI_BASE_URL": gate.base_url, "OPENAI_API_KEY": KEY}
    env = environment(DATABASE_URL=database_url, SECRET_KEY=SECRET_KEY, **upstream)
    database = Database(database_url)
    with ExitStack() as processes:
        roots = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            roots.append(processes.enter_context(standing(tmp_path / name, env=env)).root)
        for _ in range(ROUNDS_OF_TWO):
            await raced(await Race.of(database, gate, client, roots))
    await database.close()

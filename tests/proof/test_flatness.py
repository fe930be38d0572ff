"""A server that has answered thousands of requests of every kind holds no more than one that has answered some.

`PROOF=1` (`make proof`) asks 10,000 times, where CI asks 1,000 times; with `-s` it prints what it measured.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Select, func, select

from llm_backend.domain.doctor import Doctor
from llm_backend.storage.database import Database
from llm_backend.storage.tables import reservation, usage_record
from tests.proof.mixing import Mix
from tests.whole.standing import SECRET_KEY, Standing, standing, told

IS_WHOLE = os.environ.get("PROOF") == "1"
REQUESTS = 10_000 if IS_WHOLE else 1_000
SHARES = 10
WARM, HALF = 3, 5
"""Shares after which everything was needed once, and after which the last half begins."""
MOST_GROWTH_KIB = (4 if IS_WHOLE else 8) * 1024
"""In the last half. A kilobyte kept of each request would be more, in CI's slice a form kept of some."""
MOST_FURTHER_DESCRIPTORS = 8
"""Since the server is warm: four connections to the database that were not needed before."""
NOTHING: tuple[int, list[str], int] = 0, [], 0
"""No connection, no file of a form and no reservation."""
OPEN = select(func.count()).where(reservation.c.state.in_(("held", "dispatched")))
CHARGES = select(func.count()).where(usage_record.c.kind == "charge")
TRIES = 200
"""Until whoever left is noticed to have left."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process what it holds")


@dataclass(frozen=True, slots=True)
class Held:
    """What the server's process holds."""

    asked: int
    resident_kib: int
    descriptors: tuple[str, ...]
    """What each of them is: `socket:[123]`, or the path of a file."""

    @property
    def sockets(self) -> int:
        return sum(each.startswith("socket:") for each in self.descriptors)

    @property
    def removed(self) -> list[str]:
        """Files that have no name any more."""
        return [each for each in self.descriptors if each.endswith("(deleted)")]


def held(server: Standing, asked: int) -> Held:
    process = Path(f"/proc/{server.process.pid}")
    resident = int((process / "status").read_text().partition("VmRSS:")[2].split()[0])
    found = []
    for each in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            found.append(str(each.readlink()))
    return Held(asked, resident, tuple(found))


async def number(database: Database, query: Select[int]) -> int:
    async with database.reading() as session:
        return await session.scalar(query) or 0


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """The server's, which it makes itself."""
    database = Database(f"sqlite:///{tmp_path / 'llm-backend.db'}")
    yield database
    await database.close()


async def measured(server: Standing, mix: Mix, database: Database) -> list[Held]:
    """What was held before the first request, and after each share."""
    points = [held(server, 0)]
    for share in range(1, SHARES + 1):
        await mix.ask(REQUESTS * share // SHARES)
        for _ in range(TRIES):
            now = held(server, mix.asked)
            left = now.sockets - points[0].sockets, now.removed, await number(database, OPEN)
            if left == NOTHING:
                break
            await asyncio.sleep(0.05)
        assert left == NOTHING
        points.append(now)
    return points


async def test_neither_memory_nor_descriptors_grow_with_what_was_asked(tmp_path: Path, database: Database) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    with standing(tmp_path, SECRET_KEY=SECRET_KEY, TMPDIR=str(folder)) as server:
        server.key = told(tmp_path, "accounts", "create", "tests", SECRET_KEY=SECRET_KEY)["api_key"]
        mix = Mix(server.root, server.headers)
        points = await measured(server, mix, database)

        assert list(folder.iterdir()) == []
        assert await number(database, CHARGES) == mix.recorded
        assert await Doctor(database).violations() == []
    figures = [(point.asked, point.resident_kib, len(point.descriptors)) for point in points]
    for figure in figures:
        sys.stdout.write("{} requests: {} KiB, {} descriptors\n".format(*figure))
    warm, half, last = points[WARM], points[HALF], points[-1]
    assert len(last.descriptors) <= len(warm.descriptors) + MOST_FURTHER_DESCRIPTORS, last.descriptors
    assert last.resident_kib <= half.resident_kib + MOST_GROWTH_KIB, figures
    wrong = [line for line in server.lines if '"level":"info"' not in line and '"level"' in line]
    assert wrong == []
    assert not any("Traceback" in line for line in server.lines)

"""Servers that die when they are told to, one after the other, on the same database and home."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import tests
from tests.whole.standing import environment

REPOSITORY = Path(tests.__file__).parents[1]

_LISTENING = re.compile(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")


class Mortals:
    """At most one of them lives."""

    def __init__(self, process: asyncio.subprocess.Process, order: Path) -> None:
        self._process = process
        self._order = order
        self._child: int | None = None
        self._listens = asyncio.Event()
        self.ended = asyncio.Event()
        """Set while none lives."""
        self.killed = False
        """Whether the last one died by SIGKILL."""
        self.root = ""
        self.lines: list[str] = []
        """What the last one said."""

    def order(self, point: str, passing: int) -> None:
        """Die at that passing of that point."""
        draft = self._order.with_suffix(".draft")
        draft.write_text(f"{point} {passing}")
        draft.replace(self._order)

    def countermand(self) -> None:
        """Live."""
        self._order.unlink(missing_ok=True)

    async def start(self) -> bool:
        """Start one; returns whether it listens, and with that is ready, or died before."""
        self._listens.clear()
        self.ended.clear()
        self.lines.clear()
        assert self._process.stdin
        self._process.stdin.write(b"start\n")
        both = asyncio.create_task(self._listens.wait()), asyncio.create_task(self.ended.wait())
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
        return self._listens.is_set()

    async def read(self) -> None:
        """Follow what is said, until nobody says anything more."""
        assert self._process.stdout
        async for line in self._process.stdout:
            said = line.decode()
            self.lines.append(said)
            if said.startswith("started "):
                self._child = int(said.split()[1])
            elif said.startswith("ended "):
                self._child, self.killed = None, int(said.split()[1]) == -signal.SIGKILL
                self.ended.set()
            elif found := _LISTENING.search(said):
                self.root = found[1]
                self._listens.set()
        self.ended.set()

    def signal(self, number: signal.Signals) -> None:
        """Send it to the one that lives."""
        if self._child is not None:
            os.kill(self._child, number)

    async def close(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process.stdin
        self._process.stdin.close()
        with suppress(ConnectionError):
            await self._process.stdin.wait_closed()
        await self._process.wait()


@asynccontextmanager
async def mortals(folder: Path, **variables: str) -> AsyncIterator[Mortals]:
    """None lives yet."""
    order = folder / "order"
    env = environment(PYTHONPATH=str(REPOSITORY), DYING_ORDER=str(order), **variables)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.proof.dying"), cwd=folder, env=env, stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    them = Mortals(process, order)
    reading = asyncio.create_task(them.read())
    try:
        yield them
    finally:
        await them.close()
        await reading

"""A load generator in a process of its own: `python -m benchmarks.loader` reads a plan and writes its outcome."""

import asyncio
import gc
import sys
import time
from collections import Counter
from contextlib import suppress
from urllib.parse import urlsplit

import uvloop

from benchmarks import answers, processes
from benchmarks.connection import Connection, Phase
from benchmarks.figures import percentile
from benchmarks.plan import Outcome, Plan, written

NS_PER_MS = 1_000_000


class Loader:
    """Carries out one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._address = urlsplit(plan.url)
        self._host, self._port = self._address.hostname or "127.0.0.1", self._address.port or 80
        self._requests = [self._request(key) for key in plan.keys]
        self._connections: list[Connection] = []
        self._idle: list[Connection] = []

    async def run(self) -> Outcome:
        plan = self._plan
        warm_up = await self._carried_out(plan.warm_up) if plan.warm_up else None
        before, database_before, resident = self._cpu(), self._database_cpu(), self._resident()
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            phase = self._phase(plan.requests)
            all_begun = tasks.create_task(self._resident_when_all_begun(phase))
            await self._carry_out(phase)
        seconds = time.perf_counter() - begun
        cpu_ns = processes.spent_ns(before, self._cpu())
        database_ns = processes.spent_ns(database_before, self._database_cpu())
        await self._close()
        return Outcome(
            requests=plan.requests,
            chunks=phase.chunks,
            seconds=seconds,
            p50_ms=percentile(phase.latencies_ns, 50) / NS_PER_MS,
            p99_ms=percentile(phase.latencies_ns, 99) / NS_PER_MS,
            first_p50_ms=percentile(phase.firsts_ns, 50) / NS_PER_MS,
            first_p99_ms=percentile(phase.firsts_ns, 99) / NS_PER_MS,
            cpu_ms=cpu_ns / NS_PER_MS,
            database_cpu_ms=database_ns / NS_PER_MS,
            resident_kib=(resident, all_begun.result(), self._resident()),
            failures=dict(phase.failures + (warm_up.failures if warm_up else Counter())),
        )

    def _phase(self, number: int) -> Phase:
        return Phase(self._requests, number, self._plan.stream, min(number, self._plan.connections))

    async def _carried_out(self, number: int) -> Phase:
        phase = self._phase(number)
        await self._carry_out(phase)
        return phase

    async def _carry_out(self, phase: Phase) -> None:
        """Return when each request was answered or has failed."""
        with suppress(TimeoutError):  # `end` counts what is missing then as failures
            async with asyncio.timeout(self._plan.timeout_seconds), asyncio.TaskGroup() as tasks:
                for _ in range(self._plan.connections):
                    tasks.create_task(self._client(phase))
        phase.end()

    async def _client(self, phase: Phase) -> None:
        """One client, with a new connection where the server has closed the one before."""
        while True:
            try:
                connection = self._idle.pop() if self._idle else await self._connected()
            except OSError as error:
                if phase.take() is None:
                    return
                phase.fail(type(error).__name__)
                continue
            await connection.work(phase)
            if connection.is_open:
                self._idle.append(connection)
                return

    async def _connected(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(Connection, self._host, self._port)
        self._connections.append(connection)
        return connection

    async def _close(self) -> None:
        for connection in self._connections:
            connection.close()
            await connection.closed.wait()

    def _request(self, key: str) -> bytes:
        body = answers.question(self._plan.stream)
        path = self._plan.stream.path if self._plan.stream else "/chat/completions"
        head = (
            f"POST {self._address.path}{path} HTTP/1.1\r\nhost: {self._address.netloc}\r\n"
            f"authorization: Bearer {key}\r\ncontent-type: application/json\r\naccept: application/json\r\n"
            f"user-agent: benchmarks\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def _resident_when_all_begun(self, phase: Phase) -> int:
        await phase.all_begun.wait()
        return self._resident()

    def _tree(self) -> list[int]:
        return processes.tree(self._plan.watched) if self._plan.watched else []

    def _cpu(self) -> dict[int, int]:
        return processes.cpu_ns(self._tree())

    def _database_cpu(self) -> dict[int, int]:
        name = self._plan.database
        return processes.cpu_ns(processes.database_backends(name) if name else ())

    def _resident(self) -> int:
        return processes.resident_kib(self._tree())


def main() -> None:
    loader = Loader(Plan.read(sys.stdin.buffer.read()))
    # A collection would be taken for the server's slowness; the process is short-lived.
    gc.disable()
    sys.stdout.buffer.write(written(uvloop.run(loader.run())))


if __name__ == "__main__":
    main()

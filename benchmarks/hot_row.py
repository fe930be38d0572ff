"""`python -m benchmarks.hot_row`: pairs of a reservation and its settlement per second on PostgreSQL.

All of one account, whose sums are one row, and of many; by one process and by several; where each pair waits for the
one before it, and where many wait at once and are committed together. On a database of its own, which is dropped.
"""

import argparse
import asyncio
import multiprocessing
import random
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

import asyncpg

from benchmarks import postgres, processes
from benchmarks.bookkeeping import Book, ledger, opened
from llm_backend.domain.ledger import Ledger
from llm_backend.errors import LLMBackendError
from llm_backend.storage.database import Database

ACCOUNTS = 1_000
PROCESSES = (1, 2, 4)
HEAD = ("accounts", "processes", "waiting in each", "pairs/s", "entries a commit", "pair p50 ms", "pair p99 ms",
        "our CPU ms a pair", "PostgreSQL's", "WAL kB a pair", "failed")  # fmt: skip
COUNTERS = """
SELECT xact_commit, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') FROM pg_stat_database
 WHERE datname = current_database()
"""
OPEN = 1_000
BEATS = 10


@dataclass(frozen=True, slots=True)
class Scene:
    """Who wants what at once."""

    accounts: int
    processes: int
    waiting: int
    """Pairs at once in each process."""
    seconds: float


class Share(NamedTuple):
    """What one process has done."""

    milliseconds: list[float]
    """Of each pair."""
    failed: int
    cpu_seconds: float


async def _pairs(mine: Ledger, books: Sequence[Book], until: float, share: Share) -> int:
    """Pairs one after the other; how many were refused or found the database busy for too long."""
    failed = 0
    while time.monotonic() < until:
        began = time.perf_counter()
        book = random.choice(books)  # noqa: S311 (nothing secret)
        wanted = book.reserve()
        try:
            await mine.reserve(wanted)
            await mine.enter(book.settle(wanted))
        except LLMBackendError:
            failed += 1
        else:
            share.milliseconds.append((time.perf_counter() - began) * 1000)
    return failed


async def _worked(url: str, books: Sequence[Book], scene: Scene, parent: Connection) -> None:
    database = Database(url)
    mine = ledger(database)
    await _pairs(mine, books, time.monotonic() + 0.5, Share([], 0, 0))  # connects, and prepares its statements
    parent.send(None)
    await asyncio.to_thread(parent.recv)
    share = Share([], 0, 0)
    began, until = time.process_time(), time.monotonic() + scene.seconds
    failed = await asyncio.gather(*(_pairs(mine, books, until, share) for _ in range(scene.waiting)))
    parent.send(share._replace(failed=sum(failed), cpu_seconds=time.process_time() - began))
    await asyncio.to_thread(parent.recv)
    await database.close()


def _work(url: str, books: Sequence[Book], scene: Scene, parent: Connection) -> None:
    asyncio.run(_worked(url, books, scene, parent))


def _played(url: str, books: Sequence[Book], scene: Scene) -> tuple[list[Share], float]:
    """What each process has done, and the CPU seconds of the database's."""
    context = multiprocessing.get_context("spawn")
    pipes, workers = [], []
    for _ in range(scene.processes):
        ours, theirs = context.Pipe()
        pipes.append(ours)
        workers.append(context.Process(target=_work, args=(url, books[: scene.accounts], scene, theirs)))
        workers[-1].start()
    for pipe in pipes:
        pipe.recv()
    backends = processes.database_backends(url.rpartition("/")[2])
    before = processes.cpu_ns(backends)
    for pipe in pipes:
        pipe.send("go")
    shares: list[Share] = [pipe.recv() for pipe in pipes]
    used = processes.spent_ns(before, processes.cpu_ns(processes.database_backends(url.rpartition("/")[2])))
    for pipe, worker in zip(pipes, workers, strict=True):
        pipe.send("end")
        worker.join()
    return shares, used / 1e9


async def _told(url: str) -> tuple[int, int]:
    """Commits of connections that are closed, which is when the server adds them up, and the bytes of its log."""
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetch(COUNTERS)
        return int(row[0][0]), int(row[0][1])
    finally:
        await connection.close()


def _row(url: str, books: Sequence[Book], scene: Scene) -> tuple[str, ...]:
    before, logged = asyncio.run(_told(url))
    shares, database_seconds = _played(url, books, scene)
    time.sleep(1)  # the counts of what has closed arrive
    commits, log = asyncio.run(_told(url))
    took = sorted(each for share in shares for each in share.milliseconds)
    pairs = len(took)
    ours = sum(share.cpu_seconds for share in shares)
    figures = (
        f"{pairs / scene.seconds:,.0f}",
        f"{2 * pairs / (commits - before):.1f}",
        f"{statistics.median(took):.1f}",
        f"{took[len(took) * 99 // 100]:.1f}",
        f"{ours * 1000 / pairs:.2f}",
        f"{database_seconds * 1000 / pairs:.2f}",
        f"{(log - logged) / pairs / 1000:.1f}",
        str(sum(share.failed for share in shares)),
    )
    return (str(scene.accounts), str(scene.processes), str(scene.waiting), *figures)


async def _beaten(url: str, books: Sequence[Book]) -> str:
    """What a heartbeat costs a process with many open streams, each of which has come further since the last."""
    database = Database(url)
    mine = ledger(database)
    try:
        wanted = [random.choice(books).reserve() for _ in range(OPEN)]  # noqa: S311 (nothing secret)
        await asyncio.gather(*(mine.reserve(each) for each in wanted))
        held = {each.attempt_id for each in wanted}
        backends = processes.database_backends(url.rpartition("/")[2])
        before, (_, logged) = processes.cpu_ns(backends), await _told(url)
        took, ours = [], time.process_time()
        for beat in range(1, BEATS + 1):
            began = time.perf_counter()
            await mine.beat(held, dict.fromkeys(held, beat))
            took.append((time.perf_counter() - began) * 1000)
        ours = time.process_time() - ours
        theirs = processes.spent_ns(before, processes.cpu_ns(backends)) / 1e9
        _, log = await _told(url)
    finally:
        await database.close()
    each = 1000 / BEATS
    return (
        f"A heartbeat of a process with {OPEN:,} open streams: {statistics.median(took):.0f} ms, of our CPU "
        f"{ours * each:.0f} ms, of PostgreSQL's {theirs * each:.0f} ms, {(log - logged) / BEATS / 1000:,.0f} kB of WAL."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hot_row", description="What one row bears.")
    parser.add_argument("--seconds", type=float, default=5, help="of each line (default %(default)s)")
    parser.add_argument("--waiting", type=int, nargs="*", default=[1, 32], help="pairs at once in each process")
    parser.add_argument("--postgresql", default=postgres.SERVER, metavar="URL", help="default %(default)s")
    told = parser.parse_args()
    with ExitStack() as stack:
        url = stack.enter_context(postgres.database(told.postgresql))
        books = asyncio.run(opened(url, ACCOUNTS))
        rows: list[tuple[str, ...]] = [HEAD]
        beats = asyncio.run(_beaten(url, books))
        sys.stderr.write(beats + "\n")
        for accounts in (1, ACCOUNTS):
            for number in PROCESSES:
                for waiting in told.waiting:
                    rows.append(_row(url, books, Scene(accounts, number, waiting, told.seconds)))
                    sys.stderr.write(" ".join(rows[-1]) + "\n")
    for row in rows:
        sys.stdout.write("| " + " | ".join(row) + " |\n")
    sys.stdout.write(f"\n{beats}\n")


if __name__ == "__main__":
    main()

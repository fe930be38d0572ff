"""What a server holds: idle, after some load, and for each stream that is open."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks import processes
from benchmarks.answers import Stream
from benchmarks.figures import Target
from benchmarks.measuring import Report, carried_out
from benchmarks.plan import Plan
from benchmarks.servers import Server

IDLE_MB = Target(160, 110)
"""Of each worker."""
STREAM_KB = Target(60)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is asked for."""

    requests: int = 2_000
    streams: int = 500
    pace_ms: int = 300
    """With 20 chunks six seconds: long enough that all are open at once."""


def measure(started: AbstractContextManager[Server], size: Size, report: Report) -> None:
    """`started`: a server that has answered nothing yet."""
    with started as server:
        assert server.process is not None
        report.add("idle, a worker", server.name, "MB", [_worker_mb(server.process)], IDLE_MB)
        loaded = carried_out(Plan(server.url, server.keys[:1], 16, size.requests, watched=server.process))
        what = f"after {size.requests:,} requests, a worker"
        report.note(what, server, loaded)
        report.add(what, server.name, "MB", [_worker_mb(server.process)])
        number = size.streams
        held = carried_out(
            Plan(server.url, server.keys[:1], number, number, stream=Stream(20, size.pace_ms), watched=server.process)
        )
        report.note(f"{number} open streams", server, held)
        before, then, _ = held.resident_kib
        what = f"memory of an open stream, {number} at once"
        report.add(what, server.name, "kB", [(then - before) * 1.024 / max(held.answered, 1)], STREAM_KB)


def _worker_mb(process: int) -> float:
    """The largest of the server's processes: the one that starts the workers holds less than they do."""
    return max(processes.resident_kib([each]) for each in processes.tree(process)) * 1024 / 1_000_000

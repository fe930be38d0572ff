"""`python -m benchmarks`: what this server costs, beside a bare relay in the same rounds.

Exit code 1 where a request failed or an answer was wrong; never for slowness.
"""

import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from benchmarks import command, flatness, memory, responses, starting, streams, telling, whole
from benchmarks.command import Asked
from benchmarks.disk import Disk
from benchmarks.measuring import Report
from benchmarks.stage import Stage

SLOW_ROUNDS = 3
"""At most, of what takes as long as its pace whoever is asked."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for. The exit code is returned."""
    told = command.asked(arguments)
    if sys.platform != "linux":
        sys.exit("Only Linux tells what another process has computed and holds.")
    report = Report()
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, ExitStack() as stack:
        stage = Stage(told, Path(folder), stack)
        for scenario in told.scenarios:
            _measure(scenario, stage, told, report)
    sys.stdout.write(telling.table(report) + "\n")
    told.out.write_bytes(telling.document(report))
    return report.exit_code


def _measure(scenario: str, stage: Stage, told: Asked, report: Report) -> None:
    slow_rounds = min(told.rounds, SLOW_ROUNDS)
    match scenario:
        case "whole":
            ours = [stage.on_sqlite, *stage.on_postgresql]
            asked = [stage.upstream, stage.relay, *ours, *told.peers]
            whole.measure(asked, Disk(stage.folder), told.rounds, told.requests, report)
        case "streams":
            ours = [stage.on_sqlite, *stage.on_postgresql[:1]]
            streams.measure([stage.upstream, stage.relay, *ours, *told.peers], slow_rounds, streams.Size(), report)
        case "responses":
            ours = [stage.on_sqlite, *stage.on_postgresql[:1]]
            responses.measure(ours, slow_rounds, told.requests, report)
        case "start":
            starting.measure(stage.folder, stage.upstream.url, slow_rounds, report)
        case "memory":
            for server in stage.fresh():
                memory.measure(server, memory.Size(), report)
        case _:
            flatness.measure(stage.on_sqlite, stage.relay, flatness.REQUESTS, report)


def _ended(number: int, frame: FrameType | None) -> None:
    """End as Ctrl-C does: with the servers ended and the databases dropped."""
    _ = number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _ended)
    sys.exit(main())

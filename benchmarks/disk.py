"""What the disk alone takes to keep what a request has it keep: no server that is durable can add less than that."""

import os
import time
from pathlib import Path

from benchmarks.figures import percentile

FRAME = 4120
"""Bytes of a page in SQLite's log, with its head."""
RESERVED, SETTLED = 4, 7
"""Pages that a reservation and a settlement change."""
PAIRS = 100
LOG_FRAMES = 1000
"""What the log has room for before it is begun anew: it is written over, as it is there."""
NS_PER_MS = 1_000_000


class Disk:
    """Where the servers have their databases."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "disk"
        self.rounds: list[float] = []
        """Milliseconds that both commits of a request take the disk: the median of each round."""

    def measure(self) -> None:
        file = os.open(self._file, os.O_RDWR | os.O_CREAT)
        try:
            os.pwrite(file, bytes(FRAME * LOG_FRAMES), 0)
            os.fsync(file)
            self.rounds.append(percentile([_pair(file, number) for number in range(PAIRS)], 50) / NS_PER_MS)
        finally:
            os.close(file)


def _pair(file: int, number: int) -> int:
    """Nanoseconds of two commits, one right after the other."""
    at = number * (RESERVED + SETTLED) % (LOG_FRAMES - RESERVED - SETTLED)
    frame = os.urandom(FRAME)
    begun = time.perf_counter_ns()
    for place in range(RESERVED + SETTLED):
        os.pwrite(file, frame, (at + place) * FRAME)
        if place + 1 in {RESERVED, RESERVED + SETTLED}:
            os.fdatasync(file)
    return time.perf_counter_ns() - begun

"""What processes have used and hold, as Linux tells it."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path

_PROC = Path("/proc")


def tree(root: int) -> list[int]:
    """`root` and all that descend from it, by their process ids."""
    children: dict[int, list[int]] = {}
    for process in _numbers():
        if (parent := _parent(process)) is not None:
            children.setdefault(parent, []).append(process)
    found = [root]
    for process in found:
        found += children.get(process, ())
    return found


def database_backends(database: str) -> list[int]:
    """The processes of a PostgreSQL on this machine that serve `database`: their titles name it."""
    return [
        process for process in _numbers() if (title := _title(process)).startswith("postgres:") and database in title
    ]


def cpu_ns(processes: Iterable[int]) -> dict[int, int]:
    """Nanoseconds that each has computed since its start, all its threads together; without those that have ended."""
    found = {}
    for process in processes:
        try:
            # The id of a process's CPU clock, as clock_getcpuclockid(3) makes it; Python has no name for it.
            found[process] = time.clock_gettime_ns((~process << 3) | 2)
        except OSError:
            continue
    return found


def spent_ns(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    """What was computed between two readings; of a process that came between them, all."""
    return sum(used - before.get(process, 0) for process, used in after.items())


def resident_kib(processes: Iterable[int]) -> int:
    """All together; memory that they share counts for each."""
    return sum(_resident(process) for process in processes)


def _resident(process: int) -> int:
    status = _read(process, "status")
    return int(status.partition("VmRSS:")[2].split()[0]) if "VmRSS:" in status else 0


def _numbers() -> list[int]:
    return [int(folder.name) for folder in _PROC.iterdir() if folder.name.isdigit()]


def _parent(process: int) -> int | None:
    # After the name, which may hold anything, in brackets: the state, then the parent.
    told = _read(process, "stat").rpartition(")")[2].split()
    return int(told[1]) if told else None


def _title(process: int) -> str:
    return _read(process, "cmdline").rstrip("\0")


def _read(process: int, name: str) -> str:
    """Empty where the process has ended."""
    try:
        return (_PROC / str(process) / name).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""

"""Streamed answers: CPU per chunk, the time to the first one, chunks a second, and 500 slow streams at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.answers import Stream
from benchmarks.figures import Target
from benchmarks.measuring import Outcomes, Report, measured
from benchmarks.plan import Outcome, Plan
from benchmarks.servers import BARE_RELAY, UPSTREAM, Server


@dataclass(frozen=True, slots=True)
class Load:
    """So many streams at once."""

    what: str
    stream: Stream
    connections: int
    requests: int
    warm_up: int = 0

    def plan(self, server: Server) -> Plan:
        return Plan(
            server.url, server.keys[:1], self.connections, self.requests, self.warm_up, self.stream,
            watched=server.process, database=server.database,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """How much is asked for."""

    singles: int = 100
    """Streams one after the other."""
    unpaced_chunks: int = 250
    paced_chunks: int = 250
    """Of each of 20 streams: five seconds."""
    slow_streams: int = 500


ONE_BY_ONE = "1 stream after the other"
CPU = Target(2.0, 1.3)
"""Of a chunk of paced streams, as a ratio to the bare relay."""
SLOW_SECONDS = Target(2.5, 1.8)


def measure(servers: Sequence[Server], rounds: int, size: Size, report: Report) -> None:
    """One by one and unpaced streams also warm the servers up for those that follow."""
    first = Load(ONE_BY_ONE, Stream(20), 1, size.singles, warm_up=10)
    unpaced = Load("20 unpaced streams", Stream(size.unpaced_chunks), 20, 60, warm_up=20)
    paced = Load("20 streams of 50 chunks/s", Stream(size.paced_chunks, pace_ms=20), 20, 20)
    many = size.slow_streams
    slow = Load(f"{many} streams of 50 chunks, 20 ms apart", Stream(50, pace_ms=20), many, many)
    for load, tell in ((first, _tell_first), (unpaced, _tell_unpaced), (paced, _tell_paced), (slow, _tell_slow)):
        # Where nothing is compared with it, the upstream alone would only take its time.
        asked = [server for server in servers if server.name != UPSTREAM or tell is not _tell_paced]
        outcomes = measured(load.what, load.plan, asked, rounds, report)
        for server in asked:
            tell(outcomes, server, load.what, report)


def _tell_first(outcomes: Outcomes, server: Server, what: str, report: Report) -> None:
    name = server.name
    report.add(f"time to the first chunk p50, {what}", name, "ms", outcomes.values(name, _first_p50))
    report.add(f"time to the first chunk p99, {what}", name, "ms", outcomes.values(name, _first_p99))
    if name != UPSTREAM:
        added = outcomes.differences(name, UPSTREAM, _first_p50)
        report.add(f"added time to the first chunk p50, {what}", name, "ms", added)


def _tell_unpaced(outcomes: Outcomes, server: Server, what: str, report: Report) -> None:
    report.add(f"chunks a second, {what}", server.name, "1/s", outcomes.values(server.name, _rate))
    _tell_cpu(outcomes, server, what, report, Target())


def _tell_paced(outcomes: Outcomes, server: Server, what: str, report: Report) -> None:
    _tell_cpu(outcomes, server, what, report, CPU if server.store else Target())
    report.add(f"time to the first chunk p50, {what}", server.name, "ms", outcomes.values(server.name, _first_p50))


def _tell_slow(outcomes: Outcomes, server: Server, what: str, report: Report) -> None:
    target = SLOW_SECONDS if server.store else Target()
    if server.name not in {UPSTREAM, BARE_RELAY}:
        ratios = outcomes.ratios(server.name, BARE_RELAY, _seconds)
        report.add(f"until all are complete, {what}", server.name, "x", ratios)
    report.add(f"until all are complete, {what}", server.name, "s", outcomes.values(server.name, _seconds), target)
    report.add(f"time to the first chunk p99, {what}", server.name, "ms", outcomes.values(server.name, _first_p99))
    _tell_cpu(outcomes, server, what, report, Target())


def _tell_cpu(outcomes: Outcomes, server: Server, what: str, report: Report, target: Target) -> None:
    if server.process is None or server.name == UPSTREAM:
        return
    if server.name != BARE_RELAY:
        ratios = outcomes.ratios(server.name, BARE_RELAY, _cpu_us)
        report.add(f"CPU per chunk, {what}", server.name, "x", ratios, target)
    report.add(f"CPU per chunk, {what}", server.name, "µs", outcomes.values(server.name, _cpu_us))


def _cpu_us(outcome: Outcome) -> float:
    """The requests' own included. Not 0 where every stream failed: what failed is told elsewhere."""
    return outcome.cpu_ms * 1000 / max(outcome.chunks, 1)


def _rate(outcome: Outcome) -> float:
    return outcome.chunks / outcome.seconds


def _seconds(outcome: Outcome) -> float:
    return outcome.seconds


def _first_p50(outcome: Outcome) -> float:
    return outcome.first_p50_ms


def _first_p99(outcome: Outcome) -> float:
    return outcome.first_p99_ms

"""Whole answers of a kilobyte: CPU per request, requests a second, and the latency that a server adds."""

from collections.abc import Sequence
from functools import partial

from benchmarks.disk import Disk
from benchmarks.figures import Target
from benchmarks.measuring import Outcomes, Report, measured
from benchmarks.plan import Outcome, Plan
from benchmarks.servers import BARE_RELAY, UPSTREAM, Server

CONNECTIONS = (1, 16, 64)
AT = 16
"""Connections at which CPU is judged."""
MANY_KEYS = 512
CPU = {"SQLite": Target(5.5, 3.0), "PostgreSQL": Target(6.5, 4.0)}
"""By the store of llm-backend's books, as ratios to the bare relay."""
ADDED_MS = Target(1.5)
"""To the median latency, with one connection."""


def measure(servers: Sequence[Server], disk: Disk, rounds: int, requests: int, report: Report) -> None:
    """`requests`: of each measurement; with one connection a quarter of them, of the yardsticks four times as many."""
    for connections in CONNECTIONS:
        what = _at(connections)
        number = requests if connections > 1 else requests // 4
        plan = partial(_plan, connections=connections, requests=number)
        before = disk.measure if connections == 1 else lambda: None
        outcomes = measured(f"whole answers, {what}", plan, servers, rounds, report, before=before)
        _tell(outcomes, servers, connections, report)
    report.add(f"both commits of a request, p50, {_at(1)}", "the disk", "ms", disk.rounds)
    keyed = [server for server in servers if server.name == BARE_RELAY or len(server.keys) == MANY_KEYS]
    if len(keyed) > 1:
        what = f"{_at(AT)}, {MANY_KEYS} keys"
        plan = partial(_plan, connections=AT, requests=requests, keys=MANY_KEYS)
        outcomes = measured(f"whole answers, {what}", plan, keyed, rounds, report)
        for server in keyed:
            _tell_cpu(outcomes, server, what, report, Target())


def _plan(server: Server, *, connections: int, requests: int, keys: int = 1) -> Plan:
    # What costs so little would be measured in too short a time.
    requests *= 4 if server.name in {UPSTREAM, BARE_RELAY} else 1
    return Plan(
        server.url, server.keys[:keys], connections, requests,
        warm_up=max(connections * 2, requests // 10), watched=server.process, database=server.database,
    )  # fmt: skip


def _at(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"


def _tell(outcomes: Outcomes, servers: Sequence[Server], connections: int, report: Report) -> None:
    what = _at(connections)
    for server in servers:
        target = CPU[server.store] if server.store and connections == AT else Target()
        _tell_cpu(outcomes, server, what, report, target)
        report.add(f"requests a second, {what}", server.name, "1/s", outcomes.values(server.name, _rate))
        if server.name != UPSTREAM:
            _tell_added(outcomes, server, connections, report)
            continue
        report.add(f"latency p50, {what}", server.name, "ms", outcomes.values(server.name, _p50))
        report.add(f"latency p99, {what}", server.name, "ms", outcomes.values(server.name, _p99))


def _tell_cpu(outcomes: Outcomes, server: Server, what: str, report: Report, target: Target) -> None:
    if server.process is None or server.name == UPSTREAM:
        return
    if server.name != BARE_RELAY:
        ratios = outcomes.ratios(server.name, BARE_RELAY, _cpu)
        report.add(f"CPU per request, {what}", server.name, "x", ratios, target)
    report.add(f"CPU per request, {what}", server.name, "ms", outcomes.values(server.name, _cpu))
    if server.database:
        database = outcomes.values(server.name, _database_cpu)
        report.add(f"the database's own CPU per request, {what}", server.name, "ms", database)


def _tell_added(outcomes: Outcomes, server: Server, connections: int, report: Report) -> None:
    what = _at(connections)
    target = ADDED_MS if server.store and connections == 1 else Target()
    added = partial(outcomes.differences, server.name)
    report.add(f"added latency p50, {what}", server.name, "ms", added(UPSTREAM, _p50), target)
    report.add(f"added latency p99, {what}", server.name, "ms", added(UPSTREAM, _p99))
    if server.name != BARE_RELAY:
        report.add(f"latency p50 over the bare relay's, {what}", server.name, "ms", added(BARE_RELAY, _p50))
        report.add(f"latency p99 over the bare relay's, {what}", server.name, "ms", added(BARE_RELAY, _p99))


def _cpu(outcome: Outcome) -> float:
    return outcome.cpu_ms / outcome.requests


def _database_cpu(outcome: Outcome) -> float:
    return outcome.database_cpu_ms / outcome.requests


def _rate(outcome: Outcome) -> float:
    return outcome.answered / outcome.seconds


def _p50(outcome: Outcome) -> float:
    return outcome.p50_ms


def _p99(outcome: Outcome) -> float:
    return outcome.p99_ms

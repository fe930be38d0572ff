"""Whether the thousandth request costs what the first did: CPU and memory over many requests."""

import sys

from benchmarks.figures import slope
from benchmarks.measuring import Report, carried_out
from benchmarks.plan import Plan
from benchmarks.servers import Server

REQUESTS = 100_000
SHARES = 10


def measure(server: Server, yardstick: Server, requests: int, report: Report, shares: int = SHARES) -> None:
    """After each share `yardstick` is asked for half as many: what the machine does meanwhile shows in both."""
    cpu, resident, ratios = [], [], []
    share = requests // shares
    for number in range(shares):
        sys.stderr.write(f"flatness, {share * (number + 1):,} of {requests:,} requests\n")
        done = report.note("flatness", server, carried_out(_plan(server, share)))
        beside = report.note("flatness", yardstick, carried_out(_plan(yardstick, max(share // 2, 1))))
        cpu.append(done.cpu_ms / done.requests)
        ratios.append(cpu[-1] / (beside.cpu_ms / beside.requests))
        resident.append(done.resident_kib[-1] * 1024 / 1_000_000)
    each = f"each {share:,} requests"
    report.add(f"CPU per request, of {each}", server.name, "x", ratios)
    report.add(f"CPU per request, of {each}", server.name, "ms", cpu)
    report.add(f"growth of CPU per request with {each}", server.name, "x", [slope(ratios)])
    report.add(f"growth of CPU per request with {each}", server.name, "ms", [slope(cpu)])
    report.add(f"resident memory after {each}", server.name, "MB", resident)
    # The first share still fills caches and pools.
    report.add(f"growth of memory with {each}, but the first", server.name, "MB", [slope(resident[1:])])


def _plan(server: Server, requests: int) -> Plan:
    return Plan(server.url, server.keys[:1], 16, requests, watched=server.process, timeout_seconds=600)

"""What a response costs that is streamed and kept, beside the same answer as a streamed chat completion."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.answers import Stream
from benchmarks.figures import Target
from benchmarks.measuring import Report, measured
from benchmarks.plan import Outcome, Plan
from benchmarks.servers import Server

CPU = Target(2.0, 1.5)
"""Of a kept response, as a ratio to a chat completion of the same server in the same round."""

CHUNKS = 50
AS_CHAT = ", as a chat"

LOADS = {
    "20 streams of 50 chunks, 20 ms apart": Stream(CHUNKS, pace_ms=20),
    "20 unpaced streams of 50 chunks": Stream(CHUNKS),
}


def measure(servers: Sequence[Server], rounds: int, requests: int, report: Report) -> None:
    """Of each server both kinds in each round, in turn."""
    both = [each for server in servers for each in (server, replace(server, name=f"{server.name}{AS_CHAT}"))]
    for what, stream in LOADS.items():
        number = requests if stream.pace_ms == 0 else requests // 4

        def plan(server: Server, stream: Stream = stream, number: int = number) -> Plan:
            kind = replace(stream, is_response=not server.name.endswith(AS_CHAT))
            return Plan(
                server.url, server.keys[:1], 20, number, 20, kind,
                watched=server.process, database=server.database,
            )  # fmt: skip

        outcomes = measured(what, plan, both, rounds, report)
        for server in servers:
            ratios = outcomes.ratios(server.name, f"{server.name}{AS_CHAT}", _cpu_ms)
            report.add(f"CPU per kept response to a chat, {what}", server.name, "x", ratios, CPU)
            report.add(f"CPU per kept response, {what}", server.name, "ms", outcomes.values(server.name, _cpu_ms))


def _cpu_ms(outcome: Outcome) -> float:
    return outcome.cpu_ms / max(outcome.answered, 1)

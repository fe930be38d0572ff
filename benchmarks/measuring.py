"""Plans carried out in interleaved rounds, and what is made of their outcomes."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.figures import Figure, Target
from benchmarks.plan import Outcome, Plan, written
from benchmarks.servers import ROOT, Server, environment


def carried_out(plan: Plan) -> Outcome:
    """What a load generator, in a process of its own, makes of `plan`."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.loader"],
        cwd=ROOT, env=environment(), input=written(plan), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return Outcome.read(done.stdout)


def interleaved(servers: Sequence[Server], rounds: int) -> Iterator[tuple[int, Server]]:
    """Each server once a round, and each other round backwards: none is always the first or behind the same one."""
    for number in range(rounds):
        for server in servers if number % 2 == 0 else servers[::-1]:
            yield number, server


@dataclass(slots=True)
class Report:
    """What has been measured so far."""

    figures: list[Figure] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """One line for each kind of wrong answer."""

    @property
    def exit_code(self) -> int:
        return 1 if self.failures else 0

    def note(self, what: str, server: Server, outcome: Outcome) -> Outcome:
        """Keep the outcome's failures."""
        self.failures += [
            f"{what}, {server.name}: {number} of {outcome.requests}: {fault}"
            for fault, number in outcome.failures.items()
        ]
        return outcome

    def add(self, what: str, whose: str, unit: str, rounds: Sequence[float], target: Target | None = None) -> None:
        self.figures.append(Figure(what, whose, unit, tuple(rounds), target or Target()))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of one plan, by the server's name: an outcome a round, at the same place for each."""

    of: dict[str, list[Outcome]]

    def values(self, name: str, value: Callable[[Outcome], float]) -> list[float]:
        return [value(outcome) for outcome in self.of[name]]

    def ratios(self, name: str, yardstick: str, value: Callable[[Outcome], float]) -> list[float]:
        """Of each round's values."""
        pairs = zip(self.values(name, value), self.values(yardstick, value), strict=True)
        return [mine / theirs for mine, theirs in pairs]

    def differences(self, name: str, yardstick: str, value: Callable[[Outcome], float]) -> list[float]:
        """Of each round's values."""
        pairs = zip(self.values(name, value), self.values(yardstick, value), strict=True)
        return [mine - theirs for mine, theirs in pairs]


def measured(  # noqa: PLR0913 (what is measured, of whom, how often)
    what: str,
    plan: Callable[[Server], Plan],
    servers: Sequence[Server],
    rounds: int,
    report: Report,
    *,
    before: Callable[[], None] = lambda: None,
) -> Outcomes:
    """Carry out each server's plan in each round. `before` is called before each round."""
    outcomes: dict[str, list[Outcome]] = {server.name: [] for server in servers}
    begun = -1
    for number, server in interleaved(servers, rounds):
        if number != begun:
            begun = number
            before()
        sys.stderr.write(f"{what}, round {number + 1} of {rounds}: {server.name}\n")
        outcomes[server.name].append(report.note(what, server, carried_out(plan(server))))
    return Outcomes(outcomes)

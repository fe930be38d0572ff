"""`python -m campaign`: faults, and a table of what came of them. Exit code 1 where anything was lost or is wrong."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from campaign.faults import CAMPAIGNS, Campaign
from campaign.load import Asked
from campaign.stage import Stage, set_up

HEAD = ("campaign", "faults", "requests", "503s", "lost", "violations", "longest recovery, s")


@dataclass(slots=True)
class Line:
    """What came of one campaign: a line of the table."""

    name: str
    faults: int = 0
    requests: int = 0
    refused: int = 0
    lost: int = 0
    violations: int = 0
    recovery: float = 0.0
    problems: list[str] = field(default_factory=list)

    def cells(self) -> tuple[str, ...]:
        numbers = (self.faults, self.requests, self.refused, self.lost, self.violations)
        return (self.name, *map(str, numbers), f"{self.recovery:.1f}")


async def _run(folder: Path, rounds: int, streams: int, only: str) -> list[Line]:
    async with set_up(folder, streams) as stage:
        return [
            await _line(stage, campaign, -(-rounds // campaign.share))
            for campaign in CAMPAIGNS
            if only in campaign.name
        ]


async def _line(stage: Stage, campaign: Campaign, rounds: int) -> Line:
    line = Line(campaign.name)
    for number in range(rounds):
        known = len(line.problems)
        await _round(stage, campaign, number, line)
        told = [f"{campaign.name}, {number + 1} of {rounds}", *line.problems[known:]]
        sys.stderr.write("\n  ".join(told) + "\n")
    return line


async def _round(stage: Stage, campaign: Campaign, number: int, line: Line) -> None:
    stage.load.start()
    await stage.load.under_way()
    line.recovery = max(line.recovery, await campaign.strike(stage, number))
    await stage.load.under_way()
    await stage.load.stop()
    asked = stage.load.asked
    found = await stage.findings(guessed=stage.load.clients if campaign.kills else 0)
    line.faults += 1
    line.requests += len(asked)
    line.refused += sum(each.is_refused for each in asked)
    line.lost += found.lost
    line.violations += found.violations
    line.problems += found.problems
    line.problems += [str(each) for each in asked if not _is_allowed(each, campaign)]


def _is_allowed(asked: Asked, campaign: Campaign) -> bool:
    return asked.is_complete or asked.is_refused or (campaign.kills and asked.is_cut)


def _table(lines: list[Line]) -> str:
    rows = [HEAD, *(line.cells() for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m campaign", description="Databases that fall, under streams.")
    parser.add_argument("--rounds", type=int, default=3, help="faults of each kind; slow ones have a third (default 3)")
    parser.add_argument("--streams", type=int, default=20, help="clients that stream at once (default 20)")
    parser.add_argument("--only", default="", help="only the campaigns with these words in their name")
    told = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="campaign-"))
    lines = asyncio.run(_run(folder, told.rounds, told.streams, told.only))
    problems = [f"{line.name}: {problem}" for line in lines for problem in line.problems]
    sys.stdout.write("\n".join((_table(lines), *problems)) + "\n")
    if problems:
        sys.exit(f"{len(problems)} problems. What the servers logged is kept in {folder}.")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()

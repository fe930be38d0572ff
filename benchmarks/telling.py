"""A report as a table for people, and as JSON for whoever compares."""

import os
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson

from benchmarks.figures import Figure
from benchmarks.measuring import Report
from benchmarks.servers import BARE_RELAY, ROOT
from benchmarks.whole import AT

RELAY_MS = 0.137
"""What the bare relay's whole answer took of CPU where the limits in seconds and milliseconds were set."""

HEAD = ("figure", "of", "median", "least … most", "must", "goal", "")


def table(report: Report) -> str:
    """Ratios first; below it what was missing or wrong."""
    figures = sorted(report.figures, key=lambda figure: (not figure.is_ratio, figure.target.must is None))
    rows = [HEAD, *(_cells(figure) for figure in figures)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    faults = [f"FAILED: {line}" for line in report.failures] or ["No request failed, and no answer was wrong."]
    return "\n".join((*lines, "", *_pace(report), *faults))


def _pace(report: Report) -> list[str]:
    """How fast the machine was, where that was measured: ratios hold on any, seconds do not."""
    told = f"CPU per request, {AT} connections"
    found = [each.median for each in report.figures if (each.what, each.whose) == (told, BARE_RELAY)]
    return [
        f"The bare relay takes {_number(taken)} ms here, {_number(taken / RELAY_MS)} times the {RELAY_MS} ms of the "
        "machine on which the limits in seconds and milliseconds were set."
        for taken in found
    ]


def _cells(figure: Figure) -> tuple[str, ...]:
    unit = figure.unit if figure.is_ratio else f" {figure.unit}"
    bounds = f"{_number(min(figure.rounds))} … {_number(max(figure.rounds))}"
    limits = ("" if limit is None else _number(limit) for limit in (figure.target.must, figure.target.goal))
    return (figure.what, figure.whose, _number(figure.median) + unit, bounds, *limits, figure.verdict)


def _number(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:  # noqa: PLR2004 (three digits)
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.4f}"  # noqa: PLR2004 (no exponents)


def document(report: Report) -> bytes:
    """All figures with their rounds, and where they were measured."""
    told = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "failures": report.failures,
        "figures": [_figure(figure) for figure in report.figures],
    }
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _figure(figure: Figure) -> dict[str, Any]:
    return asdict(figure) | {"median": figure.median, "verdict": figure.verdict}


def _commit() -> str | None:
    """Of the checkout; None outside one."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 (whichever git is the caller's)
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or None

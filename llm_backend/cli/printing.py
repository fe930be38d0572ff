"""What commands print: a table for people, aligned columns where a program reads, JSON where it is asked for."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import typer

Row = Sequence[object]


def show(heads: Sequence[str], rows: Sequence[Row]) -> None:
    """Print the rows under their heads."""
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _show_rich(heads, cells)
        return
    widths = [max(len(row[place]) for row in [heads, *cells]) for place in range(len(heads))]
    for row in [heads, *cells]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_one(described: dict[str, Any]) -> None:
    """Print what one thing is, a line for each."""
    show(("field", "value"), [(name, _told(value)) for name, value in described.items()])


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value))


def seconds(moment: datetime | None) -> int | None:
    """As JSON has it: since 1970."""
    return int(moment.timestamp()) if moment else None


def limit(number: int | None) -> str:
    """As people read it."""
    return "no limit" if number is None else str(number)


def _told(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _show_rich(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # noqa: PLC0415 (for people only)
    from rich.table import Table  # noqa: PLC0415 (as above)
    from rich.text import Text  # noqa: PLC0415 (as above)

    table = Table(*heads)
    for row in rows:
        # As they are: what stands in brackets is no markup.
        table.add_row(*map(Text, row))
    Console().print(table)

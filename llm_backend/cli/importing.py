"""`llm-backend accounts import`: an account for each line of a table."""

import asyncio
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from llm_backend.cli import terms
from llm_backend.cli.opening import OPERATOR, opened
from llm_backend.domain.account_terms import Terms
from llm_backend.domain.batches import Row
from llm_backend.domain.spreadsheets import csv_lines
from llm_backend.errors import InvalidRequest

COLUMNS = ("name", "course", "budget", "budget_microusd", "users")
AT_ONCE = 50
"""Accounts in one transaction: whoever is served meanwhile does not wait for all of them."""


def import_accounts(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help=f"CSV, its first line of {', '.join(COLUMNS)}.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="A new file for the keys: JSON, or CSV where its name ends in .csv.")],
) -> None:
    """Make an account with its key and users for each line; users are codes with blanks between.

    All lines are checked before the first account is made.
    """
    rows = list(_rows(_text(file)))
    # Before anything is made: keys that cannot be written down would be lost. Nobody else may read them.
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise typer.BadParameter(f"{out}: {error.strerror}.", param_hint="--out") from None
    made: list[dict[str, Any]] = []
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as written:
        try:
            with _progress(len(rows)) as advance:
                asyncio.run(_import(rows, made, advance))
        finally:
            where = f"; their keys are in {out}" if made else ""
            if made:
                written.write(_csv(made) if out.suffix == ".csv" else json.dumps(made, indent=2) + "\n")
            else:
                # So that the same command works once the table is mended.
                out.unlink()
            typer.echo(f"{len(made)} of {len(rows)} accounts made{where}.", err=True)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest("The table is not in UTF-8: save it as CSV in UTF-8.") from None


def _rows(text: str) -> Iterator[Row]:
    """The lines of the table. Raises InvalidRequest where it is none of accounts."""
    reader = csv.DictReader(io.StringIO(text), restkey="more")
    unknown = set(reader.fieldnames or ()) - set(COLUMNS)
    if unknown or "name" not in (reader.fieldnames or ()):
        raise InvalidRequest(f"The first line names columns: name, and any of {', '.join(COLUMNS[1:])}.")
    try:
        for line in reader:
            if "more" in line:
                raise InvalidRequest(f"Line {reader.line_num} has more columns than the first.")
            said = {name: (line.get(name) or "").strip() for name in COLUMNS}
            given = _given(said, reader.line_num)
            yield Row(said["name"], cast("Terms", given), tuple(dict.fromkeys(said["users"].split())))
    except csv.Error as error:
        raise InvalidRequest(f"Line {reader.line_num + 1} cannot be read: {error}.") from None


def _given(said: dict[str, str], line: int) -> dict[str, Any]:
    try:
        return terms.given(**{name: said[name] or None for name in ("course", "budget", "budget_microusd")})
    except typer.BadParameter as error:
        column = str(error.param_hint).removeprefix("--").replace("-", "_")
        raise InvalidRequest(f"Line {line}, {column}: {error.message}") from None


async def _import(rows: list[Row], made: list[dict[str, Any]], advance: Callable[[int], None]) -> None:
    """Make the accounts and tell of each in `made`, which holds what was made also where this raises."""
    async with opened(makes=True) as parts:
        await parts.batches.check(rows)
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            for row, (account, key) in zip(some, await parts.batches.create(some, OPERATOR), strict=True):
                made.append({
                    "id": account.id,
                    "name": account.name,
                    "users": list(row.codes),
                    "key_id": key.key.public_id,
                    "api_key": key.text,
                })  # fmt: skip
            advance(len(some))


def _csv(made: list[dict[str, Any]]) -> str:
    columns = ("id", "name", "users", "key_id", "api_key")
    lines = [[*map(each.get, columns)] for each in made]
    return csv_lines(
        [columns, *([" ".join(cell) if isinstance(cell, list) else cell for cell in line] for line in lines)]
    )


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """Show how far it is, where somebody watches; gives what is told of each step."""
    if not sys.stderr.isatty():
        yield lambda _steps: None
        return
    from rich.console import Console  # noqa: PLC0415 (for people only)
    from rich.progress import Progress  # noqa: PLC0415 (as above)

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("accounts", total=total)
        yield lambda steps: progress.advance(task, steps)

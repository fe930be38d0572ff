"""`llm-backend doctor`: whether the database is as it has to be."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from llm_backend.cli.accounts import AsJson
from llm_backend.cli.books import books
from llm_backend.domain.doctor import Violation


def doctor(
    *,
    invariants: Annotated[
        bool, typer.Option("--invariants", help="Check every account, reservation and charge; reads all of them.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether the database is as it has to be; exit code 1 where it is not, 3 where its schema is another."""
    revision, found = asyncio.run(_examined(invariants=invariants))
    if as_json:
        violations = None if found is None else [asdict(each) for each in found]
        typer.echo(json.dumps({"schema": revision, "violations": violations}))
    else:
        _tell(revision, found)
    raise typer.Exit(1 if found else 0)


def _tell(revision: str, found: list[Violation] | None) -> None:
    typer.echo(f"The database has schema {revision}, as this version needs.")
    for each in found or ():
        typer.echo(f"{each.invariant}  {each.text}")
    if found:
        typer.echo(f"{len(found)} violations of {len({each.invariant for each in found})} invariants.", err=True)
    elif found is not None:
        typer.echo("No invariant is violated.")


async def _examined(*, invariants: bool) -> tuple[str, list[Violation] | None]:
    async with books() as parts:
        return parts.revision, await parts.doctor.violations() if invariants else None

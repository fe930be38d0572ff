"""`llm-backend usage`: what was used and what it cost, and what a budget's sums are made of."""

import asyncio
import json
from typing import Annotated, cast, get_args

import typer

from llm_backend.cli.accounts import AsJson, Reference
from llm_backend.cli.books import books
from llm_backend.domain.explanations import MOST_LINES, Explanation
from llm_backend.domain.reports import Grouping, Period, Wanted, columns, row
from llm_backend.domain.spreadsheets import csv_lines
from llm_backend.errors import InvalidRequest, Json

usage = typer.Typer(name="usage", help="What was used, and what it cost.")

GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)


@usage.callback(invoke_without_command=True)
def report(  # noqa: PLR0913 (each is an option of the command)
    context: typer.Context,
    *,
    by: Annotated[str, typer.Option(help=f"Between commas, of {', '.join(GROUPINGS)}.")] = "account",
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="As 2026-03-01; 30 days by default.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Today by default; days are UTC's.")] = None,
    account: Annotated[str | None, typer.Option(help="Only of this account, by name or id.")] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of a table.")] = False,
) -> None:
    """Print what was used and what it cost, by account or whatever else."""
    if context.invoked_subcommand:
        return
    if as_json and as_csv:
        raise typer.BadParameter("--json or --csv, not both.")
    groups = _groups(by)
    rows = asyncio.run(_rows(groups, Period(first, last), account))
    if as_json:
        typer.echo(json.dumps(rows))
    elif as_csv:
        typer.echo(csv_lines([columns(groups), *(list(each.values()) for each in rows)]), nl=False)
    else:
        from llm_backend.cli.ledger_tables import usage_table  # noqa: PLC0415 (a server loads this module, and draws nothing)

        usage_table(groups, rows)


@usage.command()
def explain(
    account: Reference,
    *,
    lines: Annotated[int, typer.Option(min=1, max=MOST_LINES, help="Of each budget; older ones are one sum.")] = 50,
    end_user: Annotated[str | None, typer.Option(metavar="ID", help="The budget of that end user instead.")] = None,
    as_json: AsJson = False,
) -> None:
    """Derive the sums of the account's budgets from the ledger; exit code 1 where what is stored is another."""
    account_id, found = asyncio.run(_explained(account, lines, end_user))
    if as_json:
        from llm_backend.edge.reports import explained  # noqa: PLC0415 (loads the web framework)

        typer.echo(json.dumps(explained(account_id, found)))
    else:
        from llm_backend.cli.ledger_tables import explanation_tables  # noqa: PLC0415 (as above)

        explanation_tables(found)
    raise typer.Exit(0 if all(each.agrees for each in found) else 1)


def _groups(by: str) -> tuple[Grouping, ...]:
    groups = tuple(name.strip() for name in by.split(","))
    if not set(groups) <= set(GROUPINGS) or len(set(groups)) < len(groups):
        raise InvalidRequest(f"--by takes some of {', '.join(GROUPINGS)}, each once.", param="by")
    return cast("tuple[Grouping, ...]", groups)


async def _rows(groups: tuple[Grouping, ...], period: Period, account: str | None) -> list[dict[str, Json]]:
    async with books() as parts:
        account_id = None if account is None else (await parts.accounts.find(account)).id
        chunks = parts.reports.chunks(Wanted(groups, period, account_id))
        return [row(groups, each) async for chunk in chunks for each in chunk]


async def _explained(account: str, lines: int, end_user: str | None) -> tuple[int, list[Explanation]]:
    async with books() as parts:
        account_id = (await parts.accounts.find(account)).id
        return account_id, await parts.explanations.of(account_id, lines, end_user)

"""`llm-backend config`: is the configuration right, and what does it amount to."""

import json
from typing import Annotated, Any

import typer

from llm_backend.contract.defaults import refuse_wrong_defaults
from llm_backend.contract.documents import merge
from llm_backend.contract.errors import ContractError
from llm_backend.resources import resource
from llm_backend.settings import Loaded, SettingsRefused, load_with_origins
from llm_backend.settings.explain import Row, explain

REFUSED = 2
"""The exit code where the settings are wrong."""

config = typer.Typer(name="config", help="What is set, and where it comes from.", no_args_is_help=True)


@config.command()
def check() -> None:
    """Say OK, or what is wrong, one line a problem (exit code 2)."""
    settings = _load().settings
    try:
        document = merge(resource("spec"), docs=settings.docs, unmetered=settings.relay.unmetered)
        refuse_wrong_defaults(document, settings.defaults)
    except ContractError as error:
        typer.echo(error, err=True)
        raise typer.Exit(REFUSED) from None
    for warning in settings.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo("OK")


@config.command(name="explain")
def explain_command(
    *, as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of lines.")] = False
) -> None:
    """Print each effective value, secrets masked, and where it came from."""
    rows = explain(_load())
    if as_json:
        typer.echo(json.dumps([_as_json(row) for row in rows], indent=2))
        return
    width = max(len(row.name) for row in rows)
    for row in rows:
        typer.echo(f"{row.name:<{width}}  {_written(row)}  [{'derived from ' if row.is_derived else ''}{row.origin}]")


def _load() -> Loaded:
    """The settings; ends the command where they are wrong."""
    try:
        return load_with_origins()
    except SettingsRefused as refused:
        for problem in refused.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(REFUSED) from None


def _written(row: Row) -> str:
    if row.value is None:
        return f"({row.note or 'unset'})"
    return json.dumps(row.value, ensure_ascii=False)


def _as_json(row: Row) -> dict[str, Any]:
    origin = {"kind": row.origin.kind, "name": row.origin.name or None, "is_alias": row.origin.is_alias}
    return {
        "name": row.name,
        "value": row.value,
        "origin": origin,
        "is_derived": row.is_derived,
        "note": row.note or None,
    }

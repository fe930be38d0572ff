"""`llm-backend db`: the database's schema."""

import asyncio

import typer

from llm_backend.settings import load_settings
from llm_backend.storage import schema

database = typer.Typer(name="db", help="The database's schema.", no_args_is_help=True)


@database.command()
def upgrade() -> None:
    """Bring the database to this version's schema; of several at once, one does it."""
    before = asyncio.run(schema.upgrade(_url()))
    if before.shape == "current":
        typer.echo(f"The database has schema {before.head} already.")
    else:
        typer.echo(f"The database went from {before.found or 'empty'} to schema {before.head}.")


@database.command()
def status() -> None:
    """Say what the database has and what this version needs; exit code 3 where the two differ."""
    revision = asyncio.run(schema.current(_url()))
    typer.echo(f"The database has schema {revision}, as this version needs.")


def _url() -> str:
    return load_settings().database_url.get_secret_value()

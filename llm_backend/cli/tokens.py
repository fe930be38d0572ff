"""`llm-backend tokens`: the tables of tokenizers, fetched before they are needed."""

from typing import Annotated

import typer

from llm_backend.domain.tokenizer import Folder
from llm_backend.settings import load_settings

USUAL = ("o200k_base", "cl100k_base")
"""The encodings of today's models."""

tokens = typer.Typer(name="tokens", help="The tables of tokenizers.", no_args_is_help=True)


@tokens.callback()
def _tokens() -> None:
    """The tables of tokenizers."""


@tokens.command()
def prefetch(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models; those of the configuration where none is.")
    ] = None,
) -> None:
    """Fetch the tables that models are counted with, for servers that fetch nothing (exit code 1 where it fails)."""
    settings = load_settings()
    folder = Folder(settings.tokenizers)
    for encoding in _encodings(
        folder, models or [], [model.upstream_model or name for name, model in settings.models.items()]
    ):
        try:
            folder.fetch(encoding)
        except (OSError, ValueError) as error:
            typer.echo(f"{encoding} cannot be fetched: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(1) from None
        typer.echo(f"{encoding} lies in {settings.tokenizers}.")


def _encodings(folder: Folder, named: list[str], configured: list[str]) -> list[str]:
    """What is to be fetched; a model without a table is told of, and ends the command if it was named."""
    encodings = {model: folder.encoding_of(model) for model in named or configured}
    for model, encoding in encodings.items():
        if encoding is None:
            typer.echo(f"{model}: no table is known; what it leaves uncounted is estimated by its size.", err=True)
    if named and None in encodings.values():
        raise typer.Exit(1)
    return sorted({encoding for encoding in encodings.values() if encoding} or USUAL)

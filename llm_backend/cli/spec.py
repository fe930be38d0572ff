"""`llm-backend spec`: compile the contract, and say which of it is answered."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from llm_backend.contract.documents import PREFIX, merge
from llm_backend.contract.operations import Operation, operations
from llm_backend.errors import Json
from llm_backend.resources import resource

spec = typer.Typer(name="spec", help="The OpenAPI document that this server serves.", no_args_is_help=True)


@spec.command(name="compile")
def compile_command(
    source: Annotated[
        Path | None, typer.Option("--from", help="OpenAI's published document instead of its Python package.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; spec/openai.json by default.")] = None,
) -> None:
    """Write OpenAI's API as OpenAPI 3.1, from the installed `openai` package or from a published document."""
    folder = resource("spec")
    target = out or folder / "openai.json"
    content, document = _compiled(folder, source)
    target.write_bytes(content)
    count = sum(len(item) for item in document["paths"].values())
    typer.echo(f"{target}: {count} operations, {len(document['components']['schemas'])} components")


@spec.command()
def coverage(
    out: Annotated[Path | None, typer.Option(help="The file to write; without it, the table is printed.")] = None,
) -> None:
    """Say of every operation whether it is answered here, and if not, why."""
    text = "\n".join(coverage_lines(merge(resource("spec")))) + "\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, "utf-8")


def _compiled(folder: Path, source: Path | None) -> tuple[bytes, Json]:
    """The bytes and the document; the imports are here because the `openai` package takes a second to load."""
    from llm_backend.contract.compile.document import compile_package, written  # noqa: PLC0415 (as said above)
    from llm_backend.contract.compile.overlay import load  # noqa: PLC0415 (as said above)
    from llm_backend.contract.compile.published import compile_published  # noqa: PLC0415 (as said above)
    from llm_backend.contract.policy import read_yaml  # noqa: PLC0415 (as said above)

    if source is None:
        document = compile_package(load(folder))
    else:
        document = compile_published(read_yaml(source), load(folder, strict=False))
    return written(document), document


def coverage_lines(document: Json) -> Iterator[str]:
    """The lines of `docs/coverage.md`: how many operations have each fate, then each operation by tag."""
    found = sorted(operations(document), key=lambda one: (one.tag, one.path, one.method))
    yield from ("# Coverage", "", "Written by `llm-backend spec coverage`.", "")
    yield from _counts(found)
    tag = None
    for one in found:
        if one.tag != tag:
            tag = one.tag
            yield from ("", f"## {tag}", "", "| operation | request | fate | reason |", "| --- | --- | --- | --- |")
        reason = " ".join(str(one.fields.get("x-reason", "")).split()).replace("|", "\\|")
        yield f"| {one.id} | `{one.method.upper()} {one.path}` | {_fate(one)} | {reason} |"


def _counts(found: list[Operation]) -> Iterator[str]:
    """How many operations have each fate: OpenAI's, and apart from them what this server adds of its own."""
    openai = Counter(_fate(one) for one in found if one.path.startswith(f"{PREFIX}/"))
    own = Counter(_fate(one) for one in found if not one.path.startswith(f"{PREFIX}/"))
    yield from ("| fate | OpenAI's operations | this server's own |", "| --- | ---: | ---: |")
    for fate, _ in (openai + own).most_common():
        yield f"| {fate} | {openai[fate]} | {own[fate]} |"
    yield f"| all | {openai.total()} | {own.total()} |"


def _fate(operation: Operation) -> str:
    return str(operation.fields["x-fate"]).replace("_", " ")

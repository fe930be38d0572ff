"""`llm-backend spec`."""

from pathlib import Path

import orjson
from typer.testing import CliRunner

from llm_backend.cli.spec import coverage_lines, spec
from llm_backend.contract.documents import merge
from llm_backend.contract.errors import ContractError
from llm_backend.contract.operations import operations
from llm_backend.resources import resource

PUBLISHED = """
openapi: 3.1.0
info: {version: "1"}
paths:
  /things/{thing}:
    get:
      operationId: get-thing
      responses:
        "200": {content: {application/json: {schema: {$ref: "#/components/schemas/Thing"}}}}
components: {schemas: {Thing: {type: object, description: A thing.}}}
"""


def test_a_published_document_is_compiled_into_the_file_that_is_named(tmp_path: Path) -> None:
    source, out = tmp_path / "openapi.yaml", tmp_path / "openai.json"
    source.write_text(PUBLISHED)

    result = CliRunner().invoke(spec, ["compile", "--from", str(source), "--out", str(out)])

    assert result.exit_code == 0
    assert result.output == f"{out}: 1 operations, 1 components\n"
    assert orjson.loads(out.read_bytes())["paths"]["/things/{thing}"]["get"]["operationId"] == "getThing"


def test_a_file_that_cannot_be_compiled_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    source, out = tmp_path / "openapi.yaml", tmp_path / "openai.json"
    source.write_text("swagger: '2.0'")

    result = CliRunner().invoke(spec, ["compile", "--from", str(source), "--out", str(out)])

    assert isinstance(result.exception, ContractError)
    assert not out.exists()


def test_the_coverage_is_printed_or_written(tmp_path: Path) -> None:
    out = tmp_path / "coverage.md"

    printed = CliRunner().invoke(spec, ["coverage"])
    written = CliRunner().invoke(spec, ["coverage", "--out", str(out)])

    assert (printed.exit_code, written.exit_code) == (0, 0)
    assert printed.output == out.read_text()


def test_the_committed_coverage_is_that_of_the_documents_and_the_policy() -> None:
    expected = "\n".join(coverage_lines(merge(resource("spec")))) + "\n"

    committed = (resource("spec").parent / "docs" / "coverage.md").read_text()
    is_current = committed == expected  # apart, so that a failure does not print both pages
    assert is_current, "docs/coverage.md is not what `llm-backend spec coverage --out docs/coverage.md` writes"


def test_every_operation_has_one_line_with_its_fate() -> None:
    document = merge(resource("spec"))

    lines = list(coverage_lines(document))

    count = len(list(operations(document)))
    assert sum(line.startswith("| ") and "` | " in line for line in lines) == count
    assert "| createChatCompletion | `POST /v1/chat/completions` | served |  |" in lines


def test_openais_operations_are_counted_apart_from_the_servers_own() -> None:
    document = merge(resource("spec"))

    lines = list(coverage_lines(document))

    openai = sum(operation.path.startswith("/v1/") for operation in operations(document))
    own = len(list(operations(document))) - openai
    assert f"| all | {openai} | {own} |" in lines

"""The tables of tokenizers, fetched ahead; from where nothing answers."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from llm_backend.cli.tokens import tokens
from llm_backend.domain.tokenizer import TABLES, Folder


@pytest.fixture(autouse=True)
def _offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a network: its proxy is a port where nobody listens."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", "tables")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy", "LLM_BACKEND_CONFIG", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


def run(*models: str) -> Result:
    return CliRunner().invoke(tokens, ["prefetch", *models])


def test_what_cannot_be_fetched_is_told_in_one_line() -> None:
    result = run("gpt-4o")

    assert result.exit_code == 1
    assert result.stderr.startswith("o200k_base cannot be fetched: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_model_of_which_no_table_is_known_is_told() -> None:
    result = run("llama-3", "gpt-4o")

    assert result.exit_code == 1
    assert result.stderr.startswith("llama-3: no table is known")


@pytest.mark.parametrize(
    ("file", "fetched"),
    [("", ["cl100k_base", "o200k_base"]), ('[models.a]\nupstream_model = "gpt-4"\n[models.llama]', ["cl100k_base"])],
)
def test_without_a_name_it_fetches_what_the_configured_models_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, fetched: list[str]
) -> None:
    (tmp_path / "llm.toml").write_text(file)
    monkeypatch.setenv("LLM_BACKEND_CONFIG", "llm.toml")
    asked: list[str] = []
    monkeypatch.setattr(Folder, "fetch", lambda _folder, encoding: asked.append(encoding))

    result = run()

    assert (result.exit_code, asked) == (0, fetched)
    assert all(f"{encoding} lies in {tmp_path}/tables." in result.stdout for encoding in fetched)
    assert set(fetched) <= set(TABLES)

"""What budgets, keys and the ways of upstreams are set to."""

from pathlib import Path

import pytest

from llm_backend.settings import load_with_origins
from llm_backend.settings.explain import MASK, explain
from tests.settings.loading import Load, refused

HOOK = {"WEBHOOK_URL": "https://hooks.example/b", "WEBHOOK_SECRET": "canary-1234"}


def test_budgets_have_defaults_and_keys_cannot_be_read_again(load: Load) -> None:
    settings = load()

    assert (settings.budgets.default_output_tokens, settings.budgets.soft_limit_percent) == (16_384, 75)
    assert (settings.budgets.webhook_url, settings.budgets.webhook_secret) == (None, None)
    assert not settings.keys.recoverable


def test_a_webhook_is_signed_with_a_secret_that_nobody_sees(load: Load, tmp_path: Path) -> None:
    settings = load(**HOOK)

    shown = {row.name: row.value for row in explain(load_with_origins(HOOK, tmp_path))}
    assert settings.secrets == ("canary-1234",)
    assert "canary" not in repr(settings)
    assert (shown["budgets.webhook_url"], shown["budgets.webhook_secret"]) == (HOOK["WEBHOOK_URL"], MASK)
    assert "needs WEBHOOK_SECRET" in refused(load, WEBHOOK_URL=HOOK["WEBHOOK_URL"])[0]


def test_a_webhooks_secret_may_stand_in_a_file(load: Load, load_file: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary-1234\n")

    named_by_variable = load(WEBHOOK_SECRET_FILE="secret")
    named_by_file = load_file('[budgets]\nwebhook_secret_file = "secret"\n')

    assert named_by_variable.secrets == named_by_file.secrets == ("canary-1234",)


@pytest.mark.parametrize("url", ["ftp://hooks.example", "https://", "https://u:canary@hooks.example/"])
def test_a_webhook_that_cannot_be_called_is_refused(load: Load, url: str) -> None:
    (problem,) = refused(load, WEBHOOK_URL=url, WEBHOOK_SECRET="s")

    assert "without user and password" in problem
    assert "canary" not in problem


@pytest.mark.parametrize(
    ("lines", "field"),
    [
        ('url = "echo"', "max_tokens"),
        ('url = "https://llm.example/v1"', "max_tokens"),
        ('url = "https://api.openai.com/v1"', "max_completion_tokens"),
        ('url = "https://eu.api.openai.com/v1"', "max_completion_tokens"),
        ('url = "https://api.openai.com.example/v1"', "max_tokens"),
        ('url = "https://llm.example/v1"\noutput_cap_field = "max_completion_tokens"', "max_completion_tokens"),
    ],
)
def test_output_is_limited_where_the_upstream_reads_it(load_file: Load, lines: str, field: str) -> None:
    assert load_file(f"[upstreams.a]\n{lines}\n").upstream.output_cap_field == field


def test_openai_by_its_key_alone_takes_the_newer_field(load: Load) -> None:
    assert load(OPENAI_API_KEY="canary").upstream.output_cap_field == "max_completion_tokens"


def test_a_stream_without_its_client_is_ended_unless_it_is_to_be_drained(load: Load, load_file: Load) -> None:
    assert load().upstream.on_disconnect == "cancel"
    assert load_file('[upstreams.a]\nurl = "echo"\non_disconnect = "drain"\n').upstream.on_disconnect == "drain"
    assert "'cancel' or 'drain'" in refused(load_file, '[upstreams.a]\nurl = "echo"\non_disconnect = "x"\n')[0]


def test_tables_of_tokenizers_lie_in_the_home_folder_unless_said_otherwise(load: Load, tmp_path: Path) -> None:
    assert load(LLM_BACKEND_HOME="data").tokenizers == tmp_path / "data" / "tokenizers"
    assert load(TIKTOKEN_CACHE_DIR="tables").tokenizers == tmp_path / "tables"

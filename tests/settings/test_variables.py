"""What the environment and `.env` say, and what holds where they say nothing."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from llm_backend.settings import Upstream, load_settings, load_with_origins
from llm_backend.settings.variables import ALIASES, CONFIG, FROM_FILES, VARIABLES
from tests.settings.loading import Load, refused


def test_nothing_set_is_echo_on_loopback_with_a_sqlite_file_in_the_working_folder(load: Load, tmp_path: Path) -> None:
    settings = load()

    assert settings.upstream == Upstream("echo", None, None, allow_http=False)
    assert (settings.host, settings.port, settings.workers, settings.auth) == ("127.0.0.1", 8000, 1, "keys")
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/llm-backend.db"
    assert settings.cors_origins == ("*",)
    assert settings.admin_tokens == ()


def test_the_database_stands_in_the_home_folder(load: Load, tmp_path: Path) -> None:
    settings = load(LLM_BACKEND_HOME="data")

    assert settings.home == tmp_path / "data"
    assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/data/llm-backend.db"


def test_a_key_means_openai(load: Load) -> None:
    upstream = load(OPENAI_API_KEY="sk-canary-0001").upstream

    assert upstream.key is not None
    assert (upstream.name, upstream.url) == ("openai", "https://api.openai.com/v1")
    assert upstream.key.get_secret_value() == "sk-canary-0001"


def test_a_base_url_alone_is_asked_without_a_key(load: Load) -> None:
    upstream = load(OPENAI_BASE_URL="http://localhost:11434/v1/").upstream

    assert upstream == Upstream("openai", "http://localhost:11434/v1", None, allow_http=False, responses="chat")


def test_whether_it_answers_responses_may_be_said(load: Load) -> None:
    assert load(OPENAI_BASE_URL="http://localhost:8001/v1", UPSTREAM_RESPONSES="native").upstream.responses == "native"


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "https://eu.api.openai.com/v1", "echo"])
def test_who_is_known_to_answer_responses_is_asked_for_them(load: Load, url: str) -> None:
    assert load(OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-canary-0001").upstream.responses == "native"


def test_echo_may_be_named_although_a_key_is_set(load: Load) -> None:
    assert load(OPENAI_API_KEY="sk-canary-0001", OPENAI_BASE_URL="echo").upstream.name == "echo"


def test_settings_cannot_be_changed(load: Load) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load().port = 1


def test_the_process_environment_is_read_only_when_no_other_is_given(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "8123")

    assert load().port == 8000
    assert load_settings(cwd=tmp_path).port == 8123


def test_the_sources_stand_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "llm.toml").write_text('host = "::1"\nport = 1\nworkers = 1\nlog_level = "error"\n')
    (tmp_path / ".env").write_text("LLM_BACKEND_CONFIG=llm.toml\nPORT=2\nWORKERS=1\nLOG_LEVEL=warning\n")
    environ = {"LOG_LEVEL": "debug", "WORKERS": " "}

    loaded = load_with_origins(environ, tmp_path)

    settings = loaded.settings
    assert (settings.host, settings.port, settings.workers, settings.log_level) == ("::1", 2, 1, "DEBUG")
    assert str(loaded.origins["host",]) == f"file {tmp_path}/llm.toml"
    assert str(loaded.origins["port",]) == ".env PORT"
    assert str(loaded.origins["workers",]) == ".env WORKERS"
    assert str(loaded.origins["log_level",]) == "environment LOG_LEVEL"


def test_an_empty_variable_counts_as_unset(load: Load) -> None:
    settings = load(OPENAI_API_KEY="", PORT=" ", ADMIN_TOKEN="")

    assert (settings.upstream.name, settings.port, settings.admin_tokens) == ("echo", 8000, ())


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("FLASK_RUN_PORT", "5000", "port", 5000),
        ("GUNICORN_NUM_WORKERS", "1", "workers", 1),
        ("MODEL_NAME", "gpt-a", "default_model", "gpt-a"),
        ("GPT_ENGINE", "gpt-b", "default_model", "gpt-b"),
    ],
)
def test_names_of_other_systems_are_read(tmp_path: Path, name: str, value: str, path: str, expected: object) -> None:
    loaded = load_with_origins({name: value}, tmp_path)

    assert getattr(loaded.settings, path) == expected
    assert str(loaded.origins[path,]) == f"environment {name} (alias)"


def test_admin_tokens_and_the_total_timeout_have_other_names_too(load: Load) -> None:
    settings = load(PARROT_ADMIN_TOKEN="p" * 32, ADMIN_KEY="q" * 32, GUNICORN_TIMEOUT="90")

    assert [token.get_secret_value() for token in settings.admin_tokens] == ["p" * 32]
    assert settings.timeouts.total_seconds == 90


def test_the_rate_limit_of_another_system_is_that_of_each_key(load: Load) -> None:
    limits = load(RATE_LIMIT="5").limits

    assert (limits.key_requests_per_minute, limits.key_tokens_per_minute) == (5, None)


def test_our_name_goes_before_an_alias(load: Load) -> None:
    assert load(PORT="1", FLASK_RUN_PORT="2").port == 1


def test_a_dollar_in_dotenv_stays_one(load: Load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=canary$HOME${HOME}\nLONELY\n")

    key = load().openai_api_key

    assert key is not None
    assert key.get_secret_value() == "canary$HOME${HOME}"


def test_a_dotenv_that_is_no_text_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"PORT=\xff\n")

    assert refused(load) == (".env cannot be read: not UTF-8.",)


def test_every_variable_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()

    names = [*VARIABLES, *ALIASES, *(f"{name}_FILE" for name in FROM_FILES), CONFIG]
    assert [name for name in names if f"`{name}`" not in page] == []

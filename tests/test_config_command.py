import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llm_backend.cli.config import config

FILE = """
[upstreams.local]
url = "https://llm.example/v1"
key = "canary-upstream"

[models."llama-3.1/8b"]
context_length = 8192
"""
SECRETS = {
    "ADMIN_KEY": "canary-admin-token-of-32-bytes-or-more",
    "SECRET_KEY": "canary-secret-key-of-32-bytes-or-more",
    "DATABASE_URL": "postgresql://app:canary-1@db/llm?sslmode=require",
    "REDIS_URL": "rediss://:canary-2@cache:6379/0",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder and environment: the caller's own must not decide a test."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name not in {"PATH", "HOME", "PYTEST_CURRENT_TEST"}:
            monkeypatch.delenv(name)


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(config, arguments, env=environ)


def explained(**environ: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(run("explain", "--json", **environ).stdout)}


def test_a_right_configuration_is_ok() -> None:
    result = run("check")

    assert (result.exit_code, result.stdout, result.stderr) == (0, "OK\n", "")


def test_a_wrong_configuration_is_told_line_by_line() -> None:
    result = run("check", PORT="x", AUTH="y")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["PORT", "AUTH"]


def test_warnings_do_not_make_a_configuration_wrong() -> None:
    result = run("check", AUTH="open", AUTH_OPEN_EVERYWHERE="yes")

    assert (result.exit_code, result.stdout) == (0, "OK\n")
    assert result.stderr.startswith("warning: AUTH=open")


def test_a_short_admin_token_is_warned_of_on_this_machine_too() -> None:
    result = run("check", ADMIN_TOKEN="x")

    assert (result.exit_code, result.stdout) == (0, "OK\n")
    assert result.stderr == "warning: ADMIN_TOKEN is shorter than 32 bytes.\n"


def test_each_value_is_explained_by_its_origin(tmp_path: Path) -> None:
    (tmp_path / "llm.toml").write_text(FILE)
    (tmp_path / ".env").write_text("LOG_LEVEL=debug\n")

    rows = explained(LLM_BACKEND_CONFIG="llm.toml", FLASK_RUN_PORT="5000", HOST="::1", **SECRETS)

    file = {"kind": "file", "name": str(tmp_path / "llm.toml"), "is_alias": False}
    assert rows["port"]["value"] == 5000
    assert rows["port"]["origin"] == {"kind": "environment", "name": "FLASK_RUN_PORT", "is_alias": True}
    assert rows["host"]["origin"] == {"kind": "environment", "name": "HOST", "is_alias": False}
    assert rows["log_level"]["value"] == "DEBUG"
    assert rows["log_level"]["origin"]["kind"] == ".env"
    assert rows['models."llama-3.1/8b".context_length']["origin"] == file
    url = rows["upstream.local.url"]
    assert (url["value"], url["origin"], url["is_derived"]) == ("https://llm.example/v1", file, True)
    assert not rows["port"]["is_derived"]
    assert rows["timeouts.connect_seconds"]["value"] == 5
    assert rows["timeouts.connect_seconds"]["origin"]["kind"] == "default"


def test_no_secret_is_explained(tmp_path: Path) -> None:
    (tmp_path / "llm.toml").write_text(FILE)
    environ = {"LLM_BACKEND_CONFIG": "llm.toml", **SECRETS}

    outputs = [run("explain", **environ).output, run("explain", "--json", **environ).output]

    assert not any("canary" in output for output in outputs)
    assert explained(**environ)["database_url"]["value"] == ("postgresql://app:********@db/llm?sslmode=require")
    assert explained(**environ)["redis_url"]["value"] == "rediss://:********@cache:6379/0"


def test_the_upstream_is_explained_by_what_decided_it() -> None:
    echo, openai = explained(), explained(OPENAI_API_KEY="canary-key")

    assert echo["upstream.echo.url"]["value"] == "built in"
    assert echo["upstream.echo.key"]["value"] is None
    assert openai["upstream.openai.url"]["origin"]["name"] == "OPENAI_API_KEY"
    assert openai["upstream.openai.key"]["value"] == "********"


def test_lines_are_for_reading() -> None:
    lines = run("explain", PORT="8001").stdout.splitlines()

    assert any(line.split() == ["port", "8001", "[environment", "PORT]"] for line in lines)
    assert any(line.split() == ["default_model", "(unset)", "[default]"] for line in lines)


def test_what_is_settled_from_others_and_what_is_made_later_is_said() -> None:
    lines = run("explain", OPENAI_API_KEY="canary-key").stdout.splitlines()

    assert any(
        line.startswith("upstream.openai.url ") and "[derived from environment OPENAI_API_KEY]" in line
        for line in lines
    )
    assert any(
        line.startswith("secret_key ") and "(made at the first start, beside the SQLite file)" in line for line in lines
    )


def test_a_wrong_configuration_is_not_explained() -> None:
    result = run("explain", PORT="x")

    assert result.exit_code == 2
    assert result.stdout == ""


def test_a_date_is_explained_as_the_file_writes_it(tmp_path: Path) -> None:
    (tmp_path / "llm.toml").write_text("[models.old]\nshutdown_date = 2027-01-31\n")

    line = next(
        line for line in run("explain", LLM_BACKEND_CONFIG="llm.toml").stdout.splitlines() if "shutdown" in line
    )

    assert line.split()[:2] == ["models.old.shutdown_date", '"2027-01-31"']
    assert explained(LLM_BACKEND_CONFIG="llm.toml")["models.old.shutdown_date"]["value"] == "2027-01-31"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[relay]\nunmetered = ['organization']\n", "relay.unmetered cannot have 'organization': "),
        ("[relay]\nunmetered = ['nix']\n", "relay.unmetered cannot have 'nix': "),
        ("[models.x]\ndefaults = { temperature = 'hot' }\n", "models.\"x\".defaults: 'temperature' must be "),
    ],
)
def test_what_the_contract_does_not_allow_is_wrong_before_it_is_served(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "llm.toml").write_text(text)

    result = run("check", LLM_BACKEND_CONFIG="llm.toml")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(said)


def test_a_variable_is_unused_only_where_no_upstream_of_the_file_takes_its_value(tmp_path: Path) -> None:
    (tmp_path / "llm.toml").write_text('[upstreams.a]\nurl = "https://a.example/v1"\nkey_env = "OPENAI_API_KEY"\n')
    (tmp_path / "other.toml").write_text('[upstreams.a]\nurl = "https://a.example/v1"\n')
    variables = {"OPENAI_API_KEY": "canary-key", "OPENAI_BASE_URL": "https://b.example/v1"}
    rest = "is not used: the configuration file names the upstream.\n"

    used = run("check", LLM_BACKEND_CONFIG="llm.toml", OPENAI_API_KEY="canary-key")
    unused = run("check", LLM_BACKEND_CONFIG="other.toml", **variables)

    assert (used.stdout, used.stderr) == ("OK\n", "")
    assert unused.stderr == f"warning: OPENAI_API_KEY {rest}warning: OPENAI_BASE_URL {rest}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:11434", "http://127.0.0.1:11434/"])
def test_an_upstream_whose_url_ends_at_its_host_is_warned_of(tmp_path: Path, url: str) -> None:
    (tmp_path / "llm.toml").write_text(f'[upstreams.local]\nurl = "{url}"\n')

    by_variable = run("check", OPENAI_BASE_URL=url)
    by_file = run("check", LLM_BACKEND_CONFIG="llm.toml")

    assert by_variable.stderr == "warning: OPENAI_BASE_URL has no path; most end in /v1.\n"
    assert by_file.stderr == "warning: upstreams.local.url has no path; most end in /v1.\n"

"""The commands on accounts, keys and the schema, each on a fresh folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from llm_backend.cli.accounts import accounts
from llm_backend.cli.database import database
from llm_backend.cli.keys import keys
from llm_backend.cli.users import users
from llm_backend.domain.keys import public_id_of
from llm_backend.domain.secrets import SECRET_FILE
from llm_backend.errors import InvalidRequest, NotFound
from llm_backend.storage.schema import SchemaMismatch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh machine: an empty folder, and nothing set."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "SECRET_KEY", "LLM_BACKEND_HOME", "LLM_BACKEND_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def run(program: typer.Typer, *words: str) -> Result:
    return CliRunner().invoke(program, words)


def told(program: typer.Typer, *words: str) -> Any:
    """What the command prints as JSON."""
    result = run(program, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_first_command_on_a_fresh_machine_makes_database_secret_account_and_key(folder: Path) -> None:
    made = told(accounts, "create", "alice")

    told_of_accounts = {"id", "name", "active", "course", "token_limit", "used_tokens", "created_at"}
    assert set(made) == told_of_accounts | {"key_id", "api_key"}
    assert (made["name"], made["active"], public_id_of(made["api_key"])) == ("alice", True, made["key_id"])
    assert {file.name for file in folder.iterdir()} >= {"llm-backend.db", SECRET_FILE}


def test_people_see_the_key_and_are_told_that_it_is_shown_once() -> None:
    result = run(accounts, "create", "alice")

    assert "sk-lb-" in result.stdout
    assert "not shown again" in result.stderr


def test_another_key_is_made_by_name_or_number_and_listed_without_its_secret() -> None:
    alice = told(accounts, "create", "alice")
    second = told(keys, "create", "alice", "--name", "laptop")
    third = run(keys, "create", str(alice["id"]))

    listed = told(keys, "list", "alice")

    assert [key["key_id"] for key in listed] == [
        alice["key_id"],
        second["key_id"],
        public_id_of(third.stdout.strip()),
    ]
    assert listed[1]["name"] == "laptop"
    assert "api_key" not in listed[0]
    assert alice["api_key"] not in run(keys, "list", "alice").stdout


def test_a_key_is_revoked_by_its_id_or_by_itself() -> None:
    alice = told(accounts, "create", "alice")
    second = told(keys, "create", "alice")

    revoked = [run(keys, "revoke", alice["key_id"]), run(keys, "revoke", second["api_key"])]

    assert [result.exit_code for result in revoked] == [0, 0]
    assert not [result for result in revoked if second["api_key"] in result.output]
    assert all(key["revoked_at"] for key in told(keys, "list", "alice"))
    assert run(keys, "list", "alice").stdout.count("revoked") == 2


def test_accounts_are_listed_and_closed() -> None:
    told(accounts, "create", "alice")
    told(accounts, "create", "bob")

    run(accounts, "close", "bob")

    assert [(one["name"], one["active"]) for one in told(accounts, "list")] == [("alice", True), ("bob", False)]
    lines = run(accounts, "list").stdout.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "1 alice 0 tokens used, no limit",
        "2 bob 0 tokens used, no limit (closed)",
    ]


def test_a_key_is_rotated_by_its_id_or_by_itself() -> None:
    alice = told(accounts, "create", "alice")

    second = told(keys, "rotate", alice["api_key"], "--grace-seconds", "60")
    third = run(keys, "rotate", second["key_id"])

    listed = told(keys, "list", "alice")
    assert [key["key_id"] for key in listed] == [
        alice["key_id"],
        second["key_id"],
        public_id_of(third.stdout.strip()),
    ]
    assert [bool(key["expires_at"]) for key in listed] == [True, False, False]
    assert [bool(key["revoked_at"]) for key in listed] == [False, True, False]


def test_users_are_made_and_listed_by_code() -> None:
    alice = told(accounts, "create", "alice")

    made = [told(users, "create", "s2", "--name", "Sam", "--account", "alice"), told(users, "create", "s1")]

    assert (made[0]["code"], made[0]["name"], made[0]["account_id"]) == ("s2", "Sam", alice["id"])
    assert told(users, "list") == made[::-1]
    assert [line.split() for line in run(users, "list").stdout.splitlines()] == [
        ["2", "s1"],
        ["1", "s2", "Sam", "alice"],
    ]
    assert run(users, "create", "s3").stdout.split() == ["user", "3", "s3"]


def test_what_cannot_be_done_is_an_error_with_words() -> None:
    told(accounts, "create", "alice")

    assert isinstance(run(accounts, "create", "alice").exception, InvalidRequest)
    assert isinstance(run(keys, "create", "nobody").exception, NotFound)
    assert isinstance(run(keys, "revoke", "nothing").exception, NotFound)


def test_the_schema_is_told_and_brought_up_to_date() -> None:
    before = run(database, "status")
    upgraded = run(database, "upgrade")
    after = run(database, "status")
    again = run(database, "upgrade")

    assert isinstance(before.exception, SchemaMismatch)
    assert upgraded.stdout.startswith("The database went from empty to schema ")
    assert after.exit_code == 0
    assert again.stdout.endswith("already.\n")

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
from llm_backend.cli.usage import usage
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

    assert set(made) > {"id", "name", "active", "course", "token_limit", "used_tokens", "key_id", "api_key"}
    assert (made["name"], made["active"], public_id_of(made["api_key"])) == ("alice", True, made["key_id"])
    assert {file.name for file in folder.iterdir()} >= {"llm-backend.db", SECRET_FILE}


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (accounts, ["list"]),
        (accounts, ["close", "alice"]),
        (keys, ["list", "alice"]),
        (keys, ["create", "alice"]),
        (users, ["list"]),
        (usage, []),
    ],
)
def test_a_command_that_needs_what_is_there_makes_no_database(
    folder: Path, program: typer.Typer, words: list[str]
) -> None:
    refused = run(program, *words).exception

    assert isinstance(refused, SchemaMismatch)
    assert str(refused).startswith(f"There is no database at {folder}/llm-backend.db: ")
    assert not list(folder.iterdir())


def test_a_new_database_is_told_of_once(folder: Path) -> None:
    first, second = run(accounts, "create", "alice"), run(accounts, "create", "bob")

    assert f"made a new database at {folder}/llm-backend.db" in first.stderr.splitlines()
    assert "new database" not in second.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--end-user-budget", "20"), ("--end-user-renewal", "day"), ("--end-user-budget", "0")]
)
def test_limits_of_end_users_are_refused_to_a_key_that_has_none(option: str, value: str) -> None:
    told(accounts, "create", "alice")

    refused = run(keys, "create", "alice", option, value).exception

    assert isinstance(refused, InvalidRequest)
    assert str(refused).startswith(f"{option} needs --trusted-frontend")
    assert len(told(keys, "list", "alice")) == 1


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


def cells(result: Result) -> list[list[str]]:
    """The lines as words, without their heads."""
    return [line.split() for line in result.stdout.splitlines()[1:]]


def test_accounts_are_listed_and_closed() -> None:
    told(accounts, "create", "alice", "--budget", "1_000")
    told(accounts, "create", "bob")

    run(accounts, "close", "bob")

    assert [(one["name"], one["active"]) for one in told(accounts, "list")] == [("alice", True), ("bob", False)]
    assert cells(run(accounts, "list")) == [
        ["1", "alice", "0", "1000", "never", "open"],
        ["2", "bob", "0", "no", "limit", "never", "closed"],
    ]


def test_an_account_is_made_shown_and_changed_with_all_that_it_may_be() -> None:
    told(users, "create", "s1")
    made = told(
        accounts, "create", "alice", "--course", "Physics", "--budget", "10", "--budget-microusd", "5", "--renewal",
        "month", "--carries-over", "--time-zone", "Europe/Berlin", "--fits", "--no-stores", "--retention-days", "0",
        "--requests-per-minute", "1", "--tokens-per-minute", "2", "--concurrent-requests", "3", "--user", "s1",
    )  # fmt: skip

    changed = told(
        accounts, "update", "alice", "--name", "Alice", "--budget", "none", "--no-fits", "--retention-days", "none"
    )

    assert [made[name] for name in ("course", "token_limit", "microusd_limit", "renewal", "carries_over")] == [
        "Physics", 10, 5, "month", True,
    ]  # fmt: skip
    assert (made["requests_per_minute"], made["tokens_per_minute"], made["concurrent_requests"]) == (1, 2, 3)
    assert (changed["name"], changed["token_limit"], changed["fits"], changed["course"]) == (
        "Alice", None, False, "Physics",
    )  # fmt: skip
    assert (made["stores"], made["retention_days"]) == (False, 0)
    assert (changed["stores"], changed["retention_days"]) == (False, None)
    shown = told(accounts, "show", "Alice")
    assert shown == changed | {"users": ["s1"], "api_key": shown["api_key"]}
    assert ["course", "Physics"] in cells(run(accounts, "show", "Alice"))
    assert made["api_key"] not in str(shown)


def test_users_of_an_account_are_told_by_their_codes() -> None:
    told(accounts, "create", "alice")
    told(users, "create", "s1")

    told(accounts, "update", "alice", "--user", "s1")
    refused = run(accounts, "update", "alice", "--user", "s2")

    assert told(accounts, "show", "alice")["users"] == ["s1"]
    assert isinstance(refused.exception, InvalidRequest)


def test_budgets_of_an_account_its_keys_and_models_are_made_and_removed() -> None:
    alice = told(accounts, "create", "alice")
    key = f"key:{alice['key_id']}"

    made = [told(accounts, "budget", "alice", subject, "--budget", "5") for subject in ("account", key, "model:echo")]
    told(accounts, "budget", "alice", "account", "--remove")
    run(accounts, "budget", "alice", "model:echo", "--remove")

    assert [(each["subject"], each["token_limit"]) for each in made] == [("account", 5), (key, 5), ("model:echo", 5)]
    assert [(each["subject"], each["token_limit"]) for each in told(accounts, "budgets", "alice")] == [
        ("account", None),
        (key, 5),
    ]
    assert cells(run(accounts, "budgets", "alice"))[1] == [key, "0", "5", "0", "no", "limit", "never"]


@pytest.mark.parametrize(
    "wrong", [["--budget", "many"], ["--retention-days", "-1"], ["--renewal", "year"], ["--requests-per-minute", "-1"]]
)
def test_what_no_account_may_be_is_refused_with_the_name_of_the_option(wrong: list[str]) -> None:
    result = run(accounts, "create", "alice", *wrong)

    assert result.exit_code == 2
    assert wrong[0] in result.output


def test_a_key_whose_time_is_over_is_listed_as_expired() -> None:
    run(accounts, "create", "alice")
    run(keys, "create", "alice", "--expires", "2020-01-01")
    run(keys, "create", "alice", "--expires", "9999-01-01")

    listed = run(keys, "list", "alice").stdout

    assert ("expired" in listed, "until 9999-01-01 00:00" in listed, "2020" in listed) == (True, True, False)


@pytest.mark.parametrize("time", ["tomorrow", "0001-01-01T00:00+14:00", "9999-12-31T23:00-10:00"])
def test_a_time_that_is_none_is_refused_with_the_name_of_the_option(time: str) -> None:
    run(accounts, "create", "alice")

    result = run(keys, "create", "alice", "--expires", time)

    assert (result.exit_code, "--expires" in result.output) == (2, True)


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
    assert cells(run(users, "list")) == [
        ["2", "s1"],
        ["1", "s2", "Sam", "alice"],
    ]
    assert run(users, "create", "s3").stdout.split() == ["user", "3", "s3"]


def test_a_key_is_made_changed_and_shown_with_all_that_it_may_do() -> None:
    told(accounts, "create", "alice")
    made = told(
        keys, "create", "alice", "--scope", "models", "--model", "echo", "--model", "b", "--expires", "2099-01-01",
        "--requests-per-minute", "5",
    )  # fmt: skip

    changed = told(keys, "update", made["key_id"], "--every-model", "--expires", "none", "--tokens-per-minute", "9")

    assert (made["scopes"], made["models"], made["expires_at"]) == (["models"], ["echo", "b"], 4070908800)
    assert (changed["models"], changed["expires_at"], changed["requests_per_minute"]) == (None, None, 5)
    assert changed["tokens_per_minute"] == 9
    assert told(keys, "show", made["api_key"]) == changed
    assert ["tokens_per_minute", "9"] in cells(run(keys, "show", made["key_id"]))
    assert ["scopes", "models"] in cells(run(keys, "update", made["key_id"], "--name", "x"))
    assert run(keys, "update", made["key_id"], "--expires", "tomorrow").exit_code == 2


def test_keys_that_leaked_are_reported_from_a_file_or_a_pipe_and_never_repeated(folder: Path) -> None:
    alice = told(accounts, "create", "alice")
    (folder / "found.txt").write_text(f"{alice['api_key']}\n\nsomething else\n")

    first = run(keys, "report", "found.txt")
    again = CliRunner().invoke(keys, ["report", "-", "--json"], input=alice["api_key"])

    assert cells(first) == [["1", alice["key_id"], "1", "revoked"], ["2", "unknown"]]
    assert json.loads(again.stdout) == [{"key_id": alice["key_id"], "account_id": 1, "status": "already_revoked"}]
    assert alice["api_key"] not in first.output + again.output
    assert run(keys, "report", "nothing.txt").exit_code == 2


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


def test_a_key_is_made_and_changed_with_what_its_end_users_may_use() -> None:
    told(accounts, "create", "alice")
    made = told(
        keys, "create", "alice", "--trusted-frontend", "--end-user-budget", "1_000", "--end-user-renewal", "day",
        "--end-user-concurrent-requests", "2",
    )  # fmt: skip

    told(keys, "update", made["key_id"], "--end-user-budget", "none", "--no-trusted-frontend")
    changed = told(keys, "show", made["key_id"])

    names = ("trusted_frontend", "end_user_token_limit", "end_user_renewal", "end_user_concurrent_requests")
    assert [made[name] for name in names] == [True, 1_000, "day", 2]
    assert [changed[name] for name in names] == [False, None, "day", 2]


def test_budgets_of_end_users_are_made_and_listed_apart_from_the_others() -> None:
    told(accounts, "create", "alice")
    for name in ("b", "a"):
        told(accounts, "budget", "alice", f"user:{name}", "--budget", "5")

    listed = told(accounts, "budgets", "alice", "--end-users")

    assert [(each["subject"], each["token_limit"]) for each in listed] == [("user:a", 5), ("user:b", 5)]
    assert [each["subject"] for each in told(accounts, "budgets", "alice")] == ["account"]

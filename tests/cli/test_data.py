"""Data from the command line: out, in, away, and in from Parrot."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from llm_backend.cli.accounts import accounts
from llm_backend.cli.data import erase, export, imports
from llm_backend.cli.users import users
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.conversations import Conversations
from llm_backend.domain.erasure import Erased
from llm_backend.domain.identity import Caller
from llm_backend.domain.imports import AlreadyThere, NotAnExport
from llm_backend.domain.responses.summaries import Summaries
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import InvalidRequest, Json, NotFound
from llm_backend.storage.database import Database
from tests.domain import parrots

program = typer.Typer()
program.command()(export)
program.command()(erase)
for group in (imports, accounts, users):
    program.add_typer(group)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh machine: an empty folder, and a secret that it shares with others."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "LLM_BACKEND_HOME", "LLM_BACKEND_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SECRET_KEY", "a-test-secret-of-more-than-32-bytes")
    return tmp_path


def run(*words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(program, words, input=typed)


def told(*words: str) -> Any:
    """What the command prints as JSON."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def names() -> list[str]:
    return [account["name"] for account in told("accounts", "list")]


def test_what_was_exported_is_imported_on_another_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told("accounts", "create", "alice")
    told("users", "create", "s1", "--account", "alice")
    exported = run("export", "--out", "all.jsonl")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///other.db")

    brought = run("import", "file", "all.jsonl")

    assert "1 of account, 1 of user, 1 of key" in exported.stderr
    assert (folder / "all.jsonl").stat().st_mode & 0o777 == 0o600
    assert not list(folder.glob(".*.part"))
    assert (brought.exit_code, brought.stderr) == (0, f"made a new database at {folder}/other.db\n")
    assert ["account", "1", "0"] in [line.split() for line in brought.stdout.splitlines()]
    assert names() == ["alice"]
    again = run("import", "file", "all.jsonl")
    assert isinstance(again.exception, AlreadyThere)


@pytest.mark.parametrize("out", [".", "nowhere/all.jsonl"])
def test_a_file_that_cannot_be_written_is_refused_in_words(folder: Path, out: str) -> None:
    told("accounts", "create", "alice")

    result = run("export", "--out", out)

    assert (result.exit_code, "--out" in result.output) == (2, True)
    assert not list(folder.glob(".*.part"))


def test_keys_of_another_secret_are_said_to_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    told("accounts", "create", "alice")
    run("export", "--out", "all.jsonl")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///other.db")
    monkeypatch.setenv("SECRET_KEY", "another-secret-of-more-than-32-bytes")

    brought = run("import", "file", "all.jsonl")

    assert "under another SECRET_KEY" in brought.stderr
    assert names() == ["alice"]


def test_summaries_of_another_secret_are_said_to_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    told("accounts", "create", "alice")
    asyncio.run(said(Summaries(Secrets(b"a-test-secret-of-more-than-32-bytes")).sealed("Ada", 1)))
    run("export", "--out", "all.jsonl")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///other.db")
    same = told("import", "file", "all.jsonl")
    monkeypatch.setenv("DATABASE_URL", "sqlite:///another.db")
    monkeypatch.setenv("SECRET_KEY", "another-secret-of-more-than-32-bytes")

    brought = run("import", "file", "all.jsonl")

    assert same["lost_summaries"] == 0
    assert "sealed under another SECRET_KEY: 1." in brought.stderr


async def said(item: Json) -> None:
    """Keep it in a conversation of the account."""
    database = Database("sqlite:///llm-backend.db")
    await Conversations(database, SystemClock()).create(Caller(1, "alice", None), [item], {})
    await database.close()


def test_one_account_or_user_is_written_to_standard_output() -> None:
    told("accounts", "create", "alice")
    told("users", "create", "s1")

    lines = [json.loads(line) for line in run("export", "--account", "alice").stdout_bytes.splitlines()]
    of_user = [json.loads(line) for line in run("export", "--user", "s1").stdout_bytes.splitlines()]

    assert (lines[0]["account_id"], lines[-1]["kind"]) == (1, "end")
    assert [line["kind"] for line in of_user] == ["export", "user", "audit_record", "end"]


def test_a_file_that_does_not_become_whole_takes_the_place_of_none(folder: Path) -> None:
    told("accounts", "create", "alice")
    (folder / "all.jsonl").write_text("what was there")

    result = run("export", "--user", "nobody", "--out", "all.jsonl")

    assert isinstance(result.exception, NotFound)
    assert [file.name for file in folder.glob("*all.jsonl*")] == ["all.jsonl"]
    assert (folder / "all.jsonl").read_text() == "what was there"
    assert isinstance(run("import", "file", "all.jsonl").exception, NotAnExport)


def test_an_account_is_erased_when_its_name_is_typed() -> None:
    told("accounts", "create", "alice")

    wrong = run("erase", "--account", "alice", typed="alise\n")
    right = run("erase", "--account", "1", typed="alice\n")

    assert isinstance(wrong.exception, InvalidRequest)
    assert right.exit_code == 0
    assert "for ever" in right.stderr
    assert ["keys", "1"] in [line.split() for line in right.stdout.splitlines()]
    assert names() == ["erased-1"]


def test_a_user_is_erased_without_a_question() -> None:
    told("users", "create", "s1")

    erased = told("erase", "--user", "s1", "--yes")

    assert Erased(**erased) == Erased(users=1)
    assert told("users", "list") == []


@pytest.mark.parametrize(
    "words", [("erase",), ("erase", "--account", "a", "--user", "b"), ("export", "--account", "a", "--user", "b")]
)
def test_it_is_said_whose_data_and_of_one_only(words: tuple[str, ...]) -> None:
    assert isinstance(run(*words).exception, InvalidRequest)


def test_a_parrot_moves_in_after_a_rehearsal() -> None:
    asyncio.run(parrots.make("sqlite:///parrot.db"))
    command = ("import", "parrot", "--database", "sqlite:///parrot.db")

    rehearsed = run(*command, "--dry-run")
    before = names()
    moved = told(*command)
    again = run(*command)

    assert ["messages", "3", "0", "0"] in [line.split() for line in rehearsed.stdout.splitlines()]
    assert "would be brought" in rehearsed.stdout
    assert before == []
    assert moved["brought"]["chats"] == 2
    assert names() == ["alice", "bob", "carol"]
    assert isinstance(again.exception, AlreadyThere)


@pytest.mark.parametrize("url", ["sqlite:///nowhere.db", "mysql://there/parrot"])
def test_what_is_no_database_is_told_and_not_made(folder: Path, url: str) -> None:
    result = run("import", "parrot", "--database", url)

    assert isinstance(result.exception, InvalidRequest)
    assert not (folder / "nowhere.db").exists()

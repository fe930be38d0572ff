"""Accounts from a table: all that were made can be used, and nothing is lost on the way."""

import contextlib
import csv
import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llm_backend.cli import importing
from llm_backend.cli.accounts import accounts
from llm_backend.cli.users import users
from llm_backend.domain.key_text import is_ours
from llm_backend.errors import InvalidRequest

TABLE = """name,course,budget,budget_microusd,users
group 1,Physics,100,,s1 s2
group 2,,,7,
=group 3,Physics,none,none,s3
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh machine: an empty folder, and nothing set."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "SECRET_KEY", "LLM_BACKEND_HOME", "LLM_BACKEND_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "groups.csv").write_text(TABLE, encoding="utf-8-sig")
    return tmp_path


def imported(*words: str) -> Result:
    return CliRunner().invoke(accounts, ["import", *words])


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(CliRunner().invoke(accounts, ["list", "--json"]).stdout)
    return found


def test_each_line_becomes_an_account_whose_key_nobody_else_can_read(folder: Path) -> None:
    result = imported("groups.csv", "--out", "keys.json")

    made = json.loads((folder / "keys.json").read_text())
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.splitlines() == [
        f"made a new database at {folder}/llm-backend.db",
        "3 of 3 accounts made; their keys are in keys.json.",
    ]
    assert [(each["name"], each["users"]) for each in made] == [
        ("group 1", ["s1", "s2"]),
        ("group 2", []),
        ("=group 3", ["s3"]),
    ]
    assert all(is_ours(each["api_key"]) for each in made)
    assert (folder / "keys.json").stat().st_mode & 0o777 == 0o600
    assert {(each["name"], each["course"], each["token_limit"], each["microusd_limit"]) for each in listed()} == {
        ("group 1", "Physics", 100, None),
        ("group 2", None, None, 7),
        ("=group 3", "Physics", None, None),
    }
    assert CliRunner().invoke(users, ["list"]).stdout.count("group") == 3


def test_the_keys_are_written_as_a_table_that_a_spreadsheet_does_not_run(folder: Path) -> None:
    imported("groups.csv", "--out", "keys.csv")

    lines = list(csv.reader((folder / "keys.csv").read_text().splitlines()))
    assert lines[0] == ["id", "name", "users", "key_id", "api_key"]
    assert [line[1] for line in lines[1:]] == ["group 1", "group 2", "'=group 3"]
    assert lines[1][2] == "s1 s2"


def test_a_file_that_is_there_is_never_written_over_and_then_nothing_is_made(folder: Path) -> None:
    (folder / "keys.json").write_text("precious")

    result = imported("groups.csv", "--out", "keys.json")

    assert (result.exit_code, "File exists" in result.output) == (2, True)
    assert (folder / "keys.json").read_text() == "precious"
    assert not (folder / "llm-backend.db").exists()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("course\nPhysics\n", "first line names columns"),
        ("name,key\na,b\n", "first line names columns"),
        ("name\na,b\n", "Line 2 has more columns"),
        ("name,budget\na,5\nb,-3\n", "Line 3, budget: A limit is a whole number"),
        (f"name\na\n{'x' * 200_000}\n", "Line 3 cannot be read"),
        ("name\na\nb\na\n", r"accounts\[0\].name: Two rows have this name"),
        ("name,users\na,s1\nb,s1\n", r"accounts\[0\].users: Two rows have the user s1"),
        (f"name\na\n{'x' * 81}\n", r"accounts\[1\].name"),
    ],
)
def test_a_table_that_is_wrong_anywhere_makes_nothing(folder: Path, table: str, said: str) -> None:
    CliRunner().invoke(accounts, ["create", "before"])
    (folder / "groups.csv").write_text(table)

    result = imported("groups.csv", "--out", "keys.json")

    assert isinstance(result.exception, InvalidRequest)
    assert result.exception.param is None or "accounts[" in result.exception.param
    with pytest.raises(InvalidRequest, match=said):
        raise result.exception
    assert [each["name"] for each in listed()] == ["before"]
    assert not (folder / "keys.json").exists()


def test_a_table_in_another_encoding_is_refused_in_words(folder: Path) -> None:
    (folder / "groups.csv").write_bytes("name\nMünchen\n".encode("latin-1"))

    result = imported("groups.csv", "--out", "keys.json")

    assert isinstance(result.exception, InvalidRequest)
    assert "save it as CSV in UTF-8" in str(result.exception)


def test_what_was_made_before_a_failure_is_written_down(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "AT_ONCE", 1)
    imported("groups.csv", "--out", "first.json")
    (folder / "groups.csv").write_text("name\nnew\ngroup 1\n")
    monkeypatch.setattr("llm_backend.domain.batches.Batches.check", _unchecked)

    result = imported("groups.csv", "--out", "second.json")

    assert isinstance(result.exception, InvalidRequest)
    assert [each["name"] for each in json.loads((folder / "second.json").read_text())] == ["new"]
    assert "1 of 2 accounts made" in result.stderr


async def _unchecked(*_: object) -> None:
    """Somebody takes the name between the check and the second account."""


def test_where_somebody_watches_a_bar_shows_how_far_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with importing._progress(3) as advance:
            advance(3)
    told = _all_that_is_shown(shown)

    assert "accounts" in told


def _all_that_is_shown(terminal: int) -> str:
    """What was written to a terminal whose other end is closed: it comes in pieces, and Linux ends it with an error."""
    told = b""
    with os.fdopen(terminal, "rb", buffering=0) as shown, contextlib.suppress(OSError):
        while piece := shown.read(100_000):
            told += piece
    return told.decode()

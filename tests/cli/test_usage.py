"""The commands that read the books."""

import asyncio
import csv
import io
import json

import pytest
import typer
from sqlalchemy import update
from typer.testing import CliRunner, Result

from llm_backend.cli.doctor import doctor
from llm_backend.cli.usage import usage
from llm_backend.errors import Json
from llm_backend.storage.database import Database
from llm_backend.storage.schema import SchemaMismatch
from llm_backend.storage.tables import budget_period
from tests.serving import SECRET_KEY
from tests.storage.ledgers import WHOLE, keep_a_sound_ledger

examining = typer.Typer()
examining.command()(doctor)


@pytest.fixture
def books(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sound ledger, which the commands find by its URL."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    asyncio.run(_fill(database_url))
    return database_url


async def _fill(url: str) -> None:
    database = Database(url)
    await keep_a_sound_ledger(database)
    await database.close()


async def _damage(url: str) -> None:
    database = Database(url)
    async with database.begin() as session:
        await session.execute(update(budget_period).where(budget_period.c.id == WHOLE).values(used_tokens=1))
    await database.close()


def run(program: typer.Typer, *words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(program, words)
    assert result.exit_code == code, result.output
    return result


def told(program: typer.Typer, *words: str, code: int = 0) -> Json:
    return json.loads(run(program, *words, "--json", code=code).stdout)


def test_usage_is_told_to_people_with_its_sum(books: str) -> None:
    lines = run(usage).stdout.splitlines()

    cells = [[cell.strip() for cell in line.strip("│┃|").replace("┃", "│").split("│")] for line in lines]
    assert ["1", "alice", "2", "14", "8", "22", "$0.000005"] in cells
    assert ["all", "", "2", "14", "8", "22", "$0.000005"] in cells


def test_usage_is_told_to_scripts_as_json_and_as_csv(books: str) -> None:
    by = "--by", "key,model", "--account", "alice"

    [row] = told(usage, *by)
    header, line = csv.reader(io.StringIO(run(usage, *by, "--csv").stdout))

    assert (row["key_id"], row["model"], row["requests"], row["total_tokens"]) == ("abcdefghijkl", "echo", 2, 22)
    assert dict(zip(header, line, strict=True)) == {name: str(value) for name, value in row.items()}


def test_usage_of_other_days_is_none(books: str) -> None:
    assert told(usage, "--from", "2001-01-01", "--to", "2001-12-31") == []


@pytest.mark.parametrize("words", [("--by", "moon"), ("--by", "day,day"), ("--from", "soon"), ("--json", "--csv")])
def test_what_no_report_is_is_refused(books: str, words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(usage, words).exit_code != 0


def test_a_budget_is_explained_to_people_and_scripts(books: str) -> None:
    text = run(usage, "explain", "alice", "--lines", "2").stdout
    whole = told(usage, "explain", "alice")["budgets"][0]

    assert "all of the account: 100 tokens, $0.000050, total" in text
    assert "1 earlier" in text
    assert text.count("  agrees") == 3
    assert (whole["subject"], whole["derived"]["used_tokens"], whole["agrees"]) == ("", 22, True)


def test_what_does_not_agree_is_said_and_ends_with_1(books: str) -> None:
    asyncio.run(_damage(books))

    explained = run(usage, "explain", "alice", code=1).stdout
    examined = run(examining, "--invariants", code=1)
    violations = told(examining, "--invariants", code=1)["violations"]

    assert "used_tokens 22, but 1 is stored" in explained
    assert "DOES NOT AGREE" in explained
    assert "I1  period 1 of account 1 says 1 tokens" in examined.stdout
    assert "1 violations of 1 invariants" in examined.stderr
    assert [(each["invariant"], each["ids"]["period_id"]) for each in violations] == [("I1", WHOLE)]


def test_a_sound_database_is_a_line(books: str) -> None:
    assert run(examining, "--invariants").stdout.splitlines()[1:] == ["No invariant is violated."]
    assert told(examining) | {"schema": ""} == {"schema": "", "violations": None}


def test_nothing_comes_into_being_where_there_is_no_database(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)

    assert isinstance(CliRunner().invoke(examining, []).exception, SchemaMismatch)

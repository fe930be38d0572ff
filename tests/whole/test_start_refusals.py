"""What keeps the server from starting is one clear line and an exit code, as an operator meets it: from the command."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.whole.standing import SECRET_KEY, commanded, told

PACKAGE = Path(__file__).parents[2]
SETTINGS, SCHEMA, CONTRACT = 2, 3, 1


def refusal(folder: Path, *words: str, **variables: str) -> tuple[int, str]:
    """The exit code of `serve`, and the one line that it says beside that of a new database."""
    done = commanded(folder, "serve", "--port", "0", *words, **variables)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("made a new database at ")]
    assert done.stdout == ""
    assert len(lines) == 1, done.stderr
    return done.returncode, lines[0].removeprefix("llm-backend: ")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder with the database of an installation that has been used."""
    told(tmp_path, "accounts", "create", "tests", SECRET_KEY=SECRET_KEY)
    return tmp_path


@pytest.mark.parametrize(
    ("revision", "said"), [("0000", "llm-backend db upgrade"), ("9999", "run a newer llm-backend")]
)
def test_a_schema_of_another_version_is_refused(made: Path, revision: str, said: str) -> None:
    with sqlite3.connect(made / "llm-backend.db") as database:
        database.execute("UPDATE alembic_version SET version_num = ?", [revision])
    database.close()

    code, line = refusal(made, SECRET_KEY=SECRET_KEY)

    assert code == SCHEMA
    assert f"schema {revision}" in line
    assert said in line


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "llm-backend.db").write_text("Dear diary, " * 100)

    assert refusal(tmp_path) == (SCHEMA, "The file is not a SQLite database.")


def test_another_secret_than_the_keys_were_made_with_is_refused(made: Path) -> None:
    code, line = refusal(made, SECRET_KEY="another-secret-of-more-than-32-bytes")

    assert code == SETTINGS
    assert "SECRET_KEY" in line
    assert "another-secret" not in line


def test_a_secret_that_is_too_short_is_refused(tmp_path: Path) -> None:
    code, line = refusal(tmp_path, SECRET_KEY="short-canary")

    assert code == SETTINGS
    assert "SECRET_KEY" in line
    assert "short-canary" not in line


def test_several_workers_on_sqlite_are_refused_by_the_name_of_what_takes_them(tmp_path: Path) -> None:
    code, line = refusal(tmp_path, "--workers", "2")

    assert code == SETTINGS
    assert "PostgreSQL" in line


def test_postgresql_without_a_secret_is_refused(tmp_path: Path) -> None:
    # Nobody listens at port 1: the settings are judged before any database is asked.
    code, line = refusal(tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none")

    assert code == SETTINGS
    assert "SECRET_KEY" in line


def test_a_database_that_nobody_serves_is_one_line(tmp_path: Path) -> None:
    code, line = refusal(tmp_path, DATABASE_URL="postgresql://nobody@127.0.0.1:1/none", SECRET_KEY=SECRET_KEY)

    assert (code, line) == (1, "The database is not available.")


def test_an_unknown_key_of_the_file_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("[timeouts]\nidle_second = 5\n")

    code, line = refusal(tmp_path, LLM_BACKEND_CONFIG="settings.toml")

    assert code == SETTINGS
    assert "idle_second" in line
    assert "idle_seconds" in line.replace("idle_second ", "")


Change = Callable[[Path], None]


def edited(file: str, before: str, after: str) -> Change:
    """Writes `after` for `before`, which has to be there."""

    def change(installation: Path) -> None:
        text = (installation / file).read_text()
        assert before in text
        (installation / file).write_text(text.replace(before, after, 1))

    return change


ADMIN = "x-authenticate: admin"
ORPHAN = "\n\nasync def create_nothing(_call: Call) -> Response:\n    raise NotImplementedError\n"
CHANGES = {
    "two operations share an id": (
        edited("spec/extensions/service.yaml", "operationId: getHealth", "operationId: createEmbedding"),
        "Two operations share an operationId",
    ),
    "an operation without a fate": (
        edited("spec/policy.yaml", "  embeddings: {fate: served, scope: inference, body: model}\n", ""),
        "createEmbedding (POST /v1/embeddings) has no fate",
    ),
    "an operation without security": (
        edited("spec/policy.yaml", "embeddings: {fate: served, scope: inference", "embeddings: {fate: served"),
        "createEmbedding (POST /v1/embeddings) has no security",
    ),
    "a scheme without its function": (
        edited("spec/policy.yaml", ADMIN, "x-authenticate: nobody"),
        "The security scheme 'admin' asks for the function 'nobody'",
    ),
    "a served operation without a handler": (
        edited("llm_backend/handlers/embeddings.py", "create_embedding", "embed_something"),
        "has no create_embedding",
    ),
    "a handler that is no operation": (
        lambda installation: (installation / "llm_backend/handlers/models.py").write_text(
            (installation / "llm_backend/handlers/models.py").read_text() + ORPHAN
        ),
        "llm_backend.handlers.models.create_nothing is no operation",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_contract_that_does_not_fit_together_is_refused(tmp_path: Path, name: str) -> None:
    installation = tmp_path / "installation"
    for part in ("llm_backend", "spec", "migrations"):
        shutil.copytree(PACKAGE / part, installation / part, ignore=shutil.ignore_patterns("__pycache__"))
    change, said = CHANGES[name]
    change(installation)

    code, line = refusal(tmp_path, PYTHONPATH=str(installation))

    assert code == CONTRACT
    assert said in line

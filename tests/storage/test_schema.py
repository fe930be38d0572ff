import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.schema import CreateTable

from llm_backend.errors import DatabaseUnavailable
from llm_backend.resources import resource
from llm_backend.storage import schema
from llm_backend.storage.database import Database
from llm_backend.storage.schema import SchemaMismatch
from llm_backend.storage.tables import metadata
from tests.databases import ON_POSTGRESQL, ON_SQLITE


async def say(url: str, *statements: str) -> None:
    database = Database(url)
    async with database.begin() as session:
        for statement in statements:
            await session.execute(text(statement))
    await database.close()


async def stamp(url: str, revision: str) -> None:
    await say(url, f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608 (a constant of a test)


async def test_an_empty_database_is_brought_to_the_newest_schema(empty_database_url: str) -> None:
    assert (await schema.status(empty_database_url)).shape == "empty"

    before = await schema.upgrade(empty_database_url)

    assert before.shape == "empty"
    assert await schema.status(empty_database_url) == schema.Status("current", schema.head(), schema.head())


def test_asking_for_the_status_makes_no_file(tmp_path: Path) -> None:
    asyncio.run(schema.status(f"sqlite:///{tmp_path}/missing.db"))

    assert list(tmp_path.iterdir()) == []


async def test_many_that_migrate_at_once_migrate_once(empty_database_url: str) -> None:
    befores = await asyncio.gather(*(schema.upgrade(empty_database_url) for _ in range(4)))

    assert sorted(before.shape for before in befores) == ["current", "current", "current", "empty"]


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


def rules(connection: Connection) -> set[tuple[str, str]]:
    """The checks of all tables, by table and name, which Alembic does not compare."""
    if connection.dialect.name == "postgresql":
        query = (
            "SELECT relname, conname FROM pg_constraint JOIN pg_class ON conrelid = pg_class.oid WHERE contype = 'c'"
        )
        return {(table, name) for table, name in connection.execute(text(query))}
    made = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).all()
    return {(table, name) for table, sql in made for name in names_of_checks(sql)}


def names_of_checks(sql: str) -> list[str]:
    return [part.split()[0] for part in sql.split("CONSTRAINT ")[1:] if part.split()[1] == "CHECK"]


async def test_migrations_and_tables_say_the_same(database: Database) -> None:
    async with database.begin() as session:
        connection = await session.connection()

        assert await connection.run_sync(differences) == []
        wanted = {
            (table.name, name)
            for table in metadata.tables.values()
            for name in names_of_checks(str(CreateTable(table).compile(dialect=connection.dialect)))
        }
        assert await connection.run_sync(rules) == wanted


async def test_the_way_back_leaves_nothing(database: Database) -> None:
    def go_back(connection: Connection) -> list[str]:
        with Operations.context(MigrationContext.configure(connection)):
            for file in sorted((resource("migrations") / "versions").glob("[0-9]*.py"), reverse=True):
                migration(file.name[:4]).downgrade()
        return inspect(connection).get_table_names()

    async with database.begin() as session:
        left = await (await session.connection()).run_sync(go_back)

    assert left == ["alembic_version"]


def migration(name: str) -> ModuleType:
    [file] = (resource("migrations") / "versions").glob(f"{name}*.py")
    spec = importlib.util.spec_from_file_location(f"migration_{name}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_newest_revision_is_the_one_alembic_sees() -> None:
    config = Config()
    config.set_main_option("script_location", str(resource("migrations")))
    config.set_main_option("path_separator", "os")

    assert ScriptDirectory.from_config(config).get_heads() == [schema.head()]


async def test_serving_makes_a_missing_sqlite_file_and_its_folder(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/folder/llm-backend.db"

    await schema.ensure(url)

    assert (await schema.status(url)).shape == "current"


async def test_a_new_file_is_its_owner_s_alone_and_so_are_those_beside_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    await schema.ensure(url)
    database = Database(url)
    async with database.begin() as session:
        await session.execute(text("INSERT INTO budget (account_id) SELECT id FROM account"))
        modes = _modes(tmp_path)
    await database.close()

    assert modes == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), 0o600)


def _modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


async def test_a_database_that_is_right_is_served_from(database_url: str) -> None:
    await schema.ensure(database_url)

    assert (await schema.status(database_url)).shape == "current"


@ON_POSTGRESQL
async def test_an_empty_server_is_not_migrated_unasked(database_url: str) -> None:
    await say(database_url, *(f"DROP TABLE {table.name}" for table in reversed(metadata.sorted_tables)))
    await say(database_url, "DROP TABLE alembic_version")

    with pytest.raises(SchemaMismatch, match="run `llm-backend db upgrade`"):
        await schema.ensure(database_url)


@pytest.mark.parametrize(
    ("revision", "line"),
    [("0000", "has schema 0000, this version needs"), ("9999", "newer"), ("78105793a1ee", "not llm-backend's")],
)
async def test_another_schema_is_refused_in_one_line(database_url: str, revision: str, line: str) -> None:
    await stamp(database_url, revision)

    with pytest.raises(SchemaMismatch, match=line) as refused:
        await schema.ensure(database_url)

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("revision", ["9999", "78105793a1ee"])
async def test_a_database_that_is_newer_or_not_ours_is_never_migrated(database_url: str, revision: str) -> None:
    await stamp(database_url, revision)

    with pytest.raises(SchemaMismatch):
        await schema.upgrade(database_url)


async def test_tables_of_someone_else_are_left_alone(empty_database_url: str) -> None:
    await say(empty_database_url, "CREATE TABLE theirs (id integer)")

    with pytest.raises(SchemaMismatch, match="database of its own"):
        await schema.upgrade(empty_database_url)


@ON_SQLITE
async def test_a_file_that_is_no_database_is_refused_in_one_line(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Sir or Madam, " * 100)

    with pytest.raises(SchemaMismatch, match="not a SQLite database"):
        await schema.ensure(f"sqlite:///{tmp_path}/letter.txt")


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").touch()

    with pytest.raises(DatabaseUnavailable, match="taken"):
        await schema.ensure(f"sqlite:///{tmp_path}/taken/llm-backend.db")


async def test_a_server_that_is_away_is_no_mismatch() -> None:
    with pytest.raises(DatabaseUnavailable):
        await schema.ensure("postgresql://postgres@127.0.0.1:1/d")

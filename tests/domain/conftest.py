"""The parts about access."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event

from llm_backend.storage.database import Database
from tests.domain.parts import Parts


@pytest.fixture
def parts(database: Database) -> Parts:
    """Everything about access, on each database in turn."""
    return Parts.of(database)


@pytest.fixture
def asked(parts: Parts) -> Iterator[list[str]]:
    """Every statement that reaches the database by a session for reading."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    engine = parts.database._reader.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)

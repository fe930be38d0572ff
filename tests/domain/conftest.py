"""The parts about access."""

from collections.abc import Iterator, Sequence

import pytest
from sqlalchemy import event

from llm_backend.storage.database import Database
from llm_backend.storage.driver import Hot, Values
from tests.domain.parts import Parts


@pytest.fixture
def parts(database: Database) -> Parts:
    """Everything about access, on each database in turn."""
    return Parts.of(database)


@pytest.fixture
def asked(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every statement that reaches the database by a session for reading, or by a plan."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    def written(self: Hot, values: Values) -> Sequence[object]:
        statements.append(self.text)
        return write(self, values)

    write = Hot.written
    monkeypatch.setattr(Hot, "written", written)
    engine = parts.database._reader.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)

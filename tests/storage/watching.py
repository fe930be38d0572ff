"""What a server executes, as its drivers are given it: whoever wrote the statement, and by whatever way it came."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

WORK = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
"""How statements begin that look for rows; the others order the connection about."""

STEPS = 10
"""Instructions of SQLite's machine that are counted as one: they are how it tells its work, whatever the clock says."""


@dataclass(slots=True)
class Watched:
    """Statements by their text, each with the values that it came with first and those for whom it was executed."""

    asking: str = ""
    """For whom things are being done now."""
    statements: dict[str, Any] = field(default_factory=dict)
    asked_by: dict[str, set[str]] = field(default_factory=dict)
    work: dict[str, int] = field(default_factory=dict)
    """What SQLite has worked for each of them, in STEPS instructions."""

    def see(self, text: str, values: Any = ()) -> None:
        if text.lstrip().startswith(WORK):
            self.statements.setdefault(text, values)
            self.asked_by.setdefault(text, set()).add(self.asking)

    def step(self) -> None:
        self.work[self.asking] = self.work.get(self.asking, 0) + 1


@contextmanager
def watching() -> Iterator[Watched]:
    """Watch every connection that is opened meanwhile, on both databases."""
    watched = Watched()
    open_file: Any = sqlite3.connect
    on_server: Any = asyncpg.connection.Connection
    prepare = on_server._get_statement

    class Cursor(sqlite3.Cursor):
        def execute(self, text: str, values: Any = (), /) -> Any:
            watched.see(text, values)
            return super().execute(text, values)

        def executemany(self, text: str, rows: Any, /) -> Any:
            listed = list(rows)
            watched.see(text, *listed[:1])
            return super().executemany(text, listed)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def execute(self, text: str, values: Any = (), /) -> Any:
            return self.cursor().execute(text, values)

        def executemany(self, text: str, rows: Any, /) -> Any:
            return self.cursor().executemany(text, rows)

    def connect(*arguments: Any, **options: Any) -> Any:
        opened = open_file(*arguments, **{"factory": Connection, **options})
        opened.set_progress_handler(watched.step, STEPS)
        return opened

    async def prepared(self: Any, query: str, *arguments: Any, **options: Any) -> Any:
        watched.see(query)
        return await prepare(self, query, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect)
        patch.setattr(on_server, "_get_statement", prepared)
        yield watched

"""Hot statements: compiled once, run on the driver itself, several in one hop.

A plan is a generator: it yields a statement with its values and is sent the rows. SQLite runs a whole plan within the
driver's thread; PostgreSQL awaits each statement. The plan is the same.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ClauseElement
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import faults

T = TypeVar("T")

Values = Mapping[str, Any]
Rows = Sequence[Sequence[Any]]


class Hot:
    """A statement's text for one dialect, and how its values are written there."""

    def __init__(self, statement: ClauseElement, *, is_sqlite: bool, keys: Sequence[str] | None = None) -> None:
        """`keys`: the columns that an insert or update gets values for, where it does not say itself."""
        dialect = sqlite.dialect(paramstyle="named") if is_sqlite else PGDialect_asyncpg()  # type: ignore[no-untyped-call]
        compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
        self.text: str = compiled.string
        self._order: list[str] = list(compiled.positiontup or compiled.params)
        self._defaults: dict[str, Any] = dict(compiled.params)
        self._processors: dict[str, Any] = compiled._bind_processors  # noqa: SLF001 (what executing it would use)
        self._is_sqlite = is_sqlite

    def written(self, values: Values) -> Any:
        """`values` as the driver takes them: by name for SQLite, in order for PostgreSQL."""
        found = {name: self._value(name, values) for name in self._order}
        return found if self._is_sqlite else tuple(found.values())

    def _value(self, name: str, values: Values) -> Any:
        value = values[name] if name in values else self._defaults[name]
        processor = self._processors.get(name)
        return value if processor is None else processor(value)


Step = tuple[Hot, Values | Sequence[Values]]
Plan = Generator[Step, Rows, T]


async def run(session: AsyncSession, plan: Plan[T]) -> T:
    """What `plan` returns, run in the session's transaction. Raises as `Database.begin`."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    with faults.told_by_driver():
        if connection.dialect.name == "sqlite":
            result: T = await driver._execute(_in_thread, driver._conn, plan)  # noqa: SLF001 (one hop for all of it)
            return result
        await _begin(raw.dbapi_connection)
        return await _awaited(driver, plan)


async def _begin(adapted: Any) -> None:
    # SQLAlchemy's adapter begins with its own first statement, of which there may be none: without it, each statement
    # here would be a transaction.
    if adapted._transaction is None:  # noqa: SLF001
        await adapted._start_transaction()  # noqa: SLF001


def _in_thread(connection: Any, plan: Plan[T]) -> T:
    try:
        hot, values = next(plan)
        while True:
            if isinstance(values, Mapping):
                rows = connection.execute(hot.text, hot.written(values)).fetchall()
            else:
                connection.executemany(hot.text, [hot.written(each) for each in values])
                rows = []
            hot, values = plan.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result


async def _awaited(connection: Any, plan: Plan[T]) -> T:
    try:
        hot, values = next(plan)
        while True:
            rows: Rows = []
            if isinstance(values, Mapping):
                rows = await connection.fetch(hot.text, *hot.written(values))
            else:
                await connection.executemany(hot.text, [hot.written(each) for each in values])
            hot, values = plan.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result

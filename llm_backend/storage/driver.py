"""Hot statements: compiled once, run on the driver itself, several in one hop.

A plan is a generator: it yields a statement with its values and is sent the rows. SQLite runs a whole plan within one
thread, the driver's or the loop's; PostgreSQL awaits each statement. The plan is the same.
"""

from collections.abc import Callable, Generator, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import ARRAY, Boolean, ClauseElement, PoolProxiedConnection
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from llm_backend.storage import faults
from llm_backend.storage.columns import Moment, as_text

T = TypeVar("T")

PREPARED = "prepared"
"""Under this name a server's connection has the statements that were prepared on it."""

_NOT_AS_PREPARED = "0A000"
"""What PostgreSQL says before it begins a statement whose rows have other types than when it was prepared."""

MOST_PREPARED = 200
"""More than are ever used; a server keeps the plan of each."""

Values = dict[str, Any]
Rows = Sequence[Sequence[Any]]


class Hot:
    """A statement's text for one dialect, and how its values are written there."""

    def __init__(self, statement: ClauseElement, *, is_sqlite: bool, keys: Sequence[str] | None = None) -> None:
        """`keys`: the columns that an insert or update gets values for, where it does not say itself."""
        dialect = sqlite.dialect(paramstyle="qmark") if is_sqlite else PGDialect_asyncpg()  # type: ignore[no-untyped-call]
        compiled: Any = statement.compile(dialect=dialect, column_keys=keys)
        self.text: str = compiled.string
        self._names: tuple[str, ...] = tuple(compiled.positiontup)
        self._own = {name: each.value for name, each in compiled.binds.items() if not each.required}
        # What executing it would use; but a truth is what it is to both drivers, and so is all that comes in lists.
        processors = {
            name: _writer(compiled.binds[name].type, processor, is_sqlite=is_sqlite)
            for name, processor in compiled._bind_processors.items()  # noqa: SLF001
            if not isinstance(compiled.binds[name].type, Boolean | ARRAY)
        }
        self._processors = [(place, processors[name]) for place, name in enumerate(self._names) if name in processors]
        self._row = taker(self._names)
        found = [(each.keyname, each.type.dialect_impl(dialect)) for each in compiled._result_columns]  # noqa: SLF001
        self._columns = [(name, kind.result_processor(dialect, None)) for name, kind in found]

    def written(self, values: Values) -> Sequence[Any]:
        """`values` as the driver takes them, in order. Raises KeyError where one is missing."""
        taken = self._row(self._own | values if self._own else values)
        if not self._processors:
            return taken
        row = list(taken)
        for place, processor in self._processors:
            row[place] = processor(row[place])
        return row

    def read(self, row: Sequence[Any]) -> dict[str, Any]:
        """A row by column, with values as a session gives them."""
        columns = zip(self._columns, row, strict=True)
        return {name: value if processor is None else processor(value) for (name, processor), value in columns}


def taker(names: Sequence[str]) -> Callable[[Values], Sequence[Any]]:
    """What takes the values of `names` out of others."""
    if len(names) > 1:
        return itemgetter(*names)
    return lambda values: tuple(values[name] for name in names)


def _writer(kind: TypeEngine[Any], processor: Any, *, is_sqlite: bool) -> Any:
    """What writes a value of that type: `processor`, or where that is a detour, what does the same."""
    return as_text if is_sqlite and isinstance(kind, Moment) else processor


Step = tuple[Hot, Values | list[Values]]
"""A statement with the values of one row, or with a list of such; only of one row there is an answer."""

Plan = Generator[Step, Rows, T]


async def run(session: AsyncSession, plan: Plan[T]) -> T:
    """What `plan` returns, run in the session's transaction. Raises as `Database.begin`."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    with faults.TOLD_BY_DRIVER:
        if connection.dialect.name == "sqlite":
            result: T = await driver._execute(run_through, driver._conn, plan)  # noqa: SLF001 (one hop for all of it)
            return result
        await _begin(raw.dbapi_connection)
        return await _awaited(driver, raw, plan)


async def written(lent: PoolProxiedConnection, plan: Plan[T], *, is_sqlite: bool) -> T:
    """What `plan` returns, run in a transaction of its own. Raises what the driver does; then it may be open still."""
    driver: Any = lent.driver_connection
    if is_sqlite:
        # Its begin and its end are in the same hop.
        result: T = await driver._execute(_transacted, driver._conn, plan)  # noqa: SLF001
        return result
    await _begin(lent.dbapi_connection)
    result = await _awaited(driver, lent, plan)
    await _commit(lent.dbapi_connection)
    return result


async def read(lent: PoolProxiedConnection, plan: Plan[T], *, is_sqlite: bool) -> T:
    """What `plan` returns, each of its statements run by itself. Raises what the driver does."""
    driver: Any = lent.driver_connection
    if is_sqlite:
        result: T = await driver._execute(run_through, driver._conn, plan)  # noqa: SLF001
        return result
    return await _awaited(driver, lent, plan)


async def _begin(adapted: Any) -> None:
    # SQLAlchemy's adapter begins with its own first statement, of which there may be none: without it, each statement
    # here would be a transaction.
    if adapted._transaction is None:  # noqa: SLF001
        await adapted._start_transaction()  # noqa: SLF001


async def _commit(adapted: Any) -> None:
    # As the adapter would, without a greenlet to do it in: whatever comes of it, the transaction is over.
    transaction, adapted._transaction = adapted._transaction, None  # noqa: SLF001
    await transaction.commit()


def _transacted(connection: Any, plan: Plan[T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = run_through(connection, plan)
        connection.execute("COMMIT")
    except BaseException:
        # Some failures have ended the transaction already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def run_through(connection: Any, plan: Plan[T]) -> T:
    """What `plan` returns, run on a connection of SQLite, in whatever transaction it is."""
    # One for all: each statement of the connection's own would make another.
    cursor = connection.cursor()
    try:
        hot, values = next(plan)
        while True:
            if isinstance(values, list):
                cursor.executemany(hot.text, map(hot.written, values))
                rows = []
            else:
                rows = cursor.execute(hot.text, hot.written(values)).fetchall()
            hot, values = plan.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result


async def _awaited(connection: Any, lent: PoolProxiedConnection, plan: Plan[T]) -> T:
    prepared = lent.info.setdefault(PREPARED, {})
    try:
        hot, values = next(plan)
        while True:
            rows: Rows = []
            if isinstance(values, list):
                await connection.executemany(hot.text, [hot.written(each) for each in values])
            else:
                rows = await _fetched(connection, prepared, hot, values)
            hot, values = plan.send(rows)
    except StopIteration as end:
        result: T = end.value
        return result


async def _fetched(connection: Any, prepared: dict[Hot, Any], hot: Hot, values: Values) -> Rows:
    """The rows of a statement that is prepared once: to have the driver look for it takes longer than to encode it."""
    statement = prepared.get(hot)
    if statement is None:
        if len(prepared) == MOST_PREPARED:
            prepared.clear()
        statement = prepared[hot] = await connection.prepare(hot.text)
    try:
        rows: Rows = await statement.fetch(*hot.written(values))
    except BaseException as error:
        del prepared[hot]
        if getattr(error, "sqlstate", None) != _NOT_AS_PREPARED or connection.is_in_transaction():
            raise
        # A table was altered since. Nothing was done: it is asked as it is now.
        rows = await connection.fetch(hot.text, *hot.written(values))
    return rows

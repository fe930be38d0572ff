"""The database's own clock, as SQL: the one that every replica agrees on."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from llm_backend.storage.columns import Moment

SQLITE_FORMAT = "%Y-%m-%d %H:%M:%f000"
"""As a Moment is written: SQLite tells milliseconds."""


class db_now(FunctionElement[datetime]):  # noqa: N801 (reads as the SQL function that it is)
    """The moment at which the statement runs, not at which its transaction began. With an argument: seconds later."""

    type = Moment()
    inherit_cache = True


async def now(session: AsyncSession) -> datetime:
    """The moment that the database's clock shows."""
    return (await session.execute(select(db_now()))).scalar_one()


@compiles(db_now, "sqlite")
def _sqlite(element: db_now, compiler: Any, **options: Any) -> str:
    later = [compiler.process(clause, **options) for clause in element.clauses]
    shift = "".join(f", {clause} || ' seconds'" for clause in later)
    return f"strftime('{SQLITE_FORMAT}', 'now'{shift})"


@compiles(db_now, "postgresql")
def _postgresql(element: db_now, compiler: Any, **options: Any) -> str:
    later = [compiler.process(clause, **options) for clause in element.clauses]
    return "clock_timestamp()" + "".join(f" + make_interval(secs => {clause})" for clause in later)

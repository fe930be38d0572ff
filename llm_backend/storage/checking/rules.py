"""I13: the rules that the database itself keeps are there, and hold."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ColumnElement,
    Select,
    String,
    Table,
    and_,
    case,
    cast,
    literal_column,
    not_,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage.checking.check import Check
from llm_backend.storage.columns import is_kept_by
from llm_backend.storage.tables import metadata

ON_POSTGRESQL = text(
    "SELECT conname FROM pg_constraint JOIN pg_class ON conrelid = pg_class.oid "
    "WHERE contype = 'c' AND convalidated AND relnamespace = current_schema()::regnamespace"
)
ON_SQLITE = text("SELECT sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL")


def checks() -> list[Check]:
    """Those of this module: a query for each table that has rules."""
    return [
        Check("I13", f"{table.name} {{row_id}} breaks the rule {{rule}}", _breaking(table, rules))
        for table in metadata.sorted_tables
        # Of those that PostgreSQL keeps as one it is told which is broken.
        if (rules := list(rules_of(table, "sqlite")))
    ]


def rules_of(table: Table, dialect: str) -> Iterator[CheckConstraint]:
    """The checks that a table has in that database, by name."""
    found = (each for each in table.constraints if isinstance(each, CheckConstraint) and is_kept_by(each, dialect))
    yield from sorted(found, key=_name)


async def missing(session: AsyncSession) -> list[tuple[str, str]]:
    """The rules that the tables ought to have and have not: the table and the rule."""
    dialect = session.get_bind().dialect.name
    if dialect == "postgresql":
        there = set((await session.execute(ON_POSTGRESQL)).scalars())
    else:
        there = {word for sql in (await session.execute(ON_SQLITE)).scalars() for word in sql.replace('"', "").split()}
    every = ((table.name, _name(rule)) for table in metadata.sorted_tables for rule in rules_of(table, dialect))
    return [(table, rule) for table, rule in every if rule not in there]


def _breaking(table: Table, rules: list[CheckConstraint]) -> Select[Any]:
    broken = case(*((not_(_holds(rule)), _name(rule)) for rule in rules))
    keys = list(table.primary_key.columns)
    row_id: ColumnElement[Any] = cast(keys[0], String)
    for key in keys[1:]:
        row_id = row_id + " " + cast(key, String)
    found = select(row_id.label("row_id"), broken.label("rule")).select_from(table)
    return found.where(not_(and_(*map(_holds, rules))))


def _holds(rule: CheckConstraint) -> ColumnElement[bool]:
    return literal_column(f"({rule.sqltext})", Boolean)


def _name(rule: CheckConstraint) -> str:
    """As the naming convention has it in the database."""
    name = str(rule.name)
    start = f"ck_{rule.table.name}_"
    return name if name.startswith(start) else start + name

"""Statements on a Parrot database, which is only read, and on what its accounts have used, which is entered here."""

from collections.abc import AsyncGenerator, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    DateTime,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    cast,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.storage import tables, usage
from llm_backend.storage.dumps import PAGE, Row
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.usage import UsageRecord

OWNER = "import"
"""Whom a reservation of an import names as the process that ran it."""

_foreign = MetaData()


def _table(name: str, *columns: Column[Any]) -> Table:
    moments = Column("created_at", DateTime), Column("updated_at", DateTime)
    return Table(name, _foreign, Column("id", Integer, primary_key=True), *columns, *moments)


ACCOUNT = _table(
    "account",
    Column("name", Text),
    Column("api_key", Text),
    Column("budget", Integer),
    Column("course", Text),
    Column("usage", Integer),
    Column("active", Boolean),
)
USER = _table("user", Column("name", Text), Column("code", Text), Column("account_id", Integer))
CHAT = _table(
    "chat",
    Column("name", Text),
    Column("account_id", Integer),
    Column("model_type", Text),
    Column("instruction_prefix", Text),
    Column("user_prefix", Text),
    Column("assistant_prefix", Text),
)
MESSAGE = _table(
    "message",
    Column("content", Text),
    # An enumeration of its own on PostgreSQL.
    Column("role", Text),
    Column("chat_id", Integer),
    Column("model_args", JSON),
    Column("usage", JSON),
)

EVERY = (ACCOUNT, USER, CHAT, MESSAGE)

MAY_LACK = frozenset({"created_at", "updated_at"})


async def lacking(session: AsyncSession) -> list[str]:
    """What a Parrot database has and this one does not: tables, or columns as `table.column`."""
    there = await _there(session)
    missing = []
    for table in EVERY:
        if table.name not in there:
            missing.append(table.name)
            continue
        wanted = set(table.c.keys()) - MAY_LACK - there[table.name]
        missing += [f"{table.name}.{column}" for column in sorted(wanted)]
    return missing


async def count(session: AsyncSession, table: Table) -> int:
    return int((await session.execute(select(func.count()).select_from(table))).scalar_one())


async def highest(session: AsyncSession, name: str) -> int:
    """The highest number of a row of the table `name`."""
    newest = select(func.coalesce(func.max(_foreign.tables[name].c.id), 0))
    return int((await session.execute(newest)).scalar_one())


async def pages(session: AsyncSession, table: Table) -> AsyncGenerator[list[Row], None]:
    """The rows of a table, by number; messages by chat, oldest first. Moments are in UTC, or None."""
    there = (await _there(session))[table.name]
    columns = [
        cast(column, Text).label("role") if column.name == "role" else column
        for column in table.c
        if column.name in there
    ]
    order = [table.c.chat_id, table.c.id] if table is MESSAGE else [table.c.id]
    query = select(*columns).order_by(*order).execution_options(yield_per=PAGE)
    result = await session.stream(query)
    async for page in result.mappings().partitions():
        yield [_in_utc(dict(row)) for row in page]


async def enter(session: AsyncSession, record: UsageRecord, now: datetime) -> None:
    """A charge, with the settled reservation that each has, and its day."""
    settled = {
        "attempt_id": record.attempt_id,
        "account_id": record.account_id,
        "key_id": record.key_id,
        "state": "settled",
        "owner": OWNER,
        "lease_until": now,
        "created_at": record.started_at,
        "account_period_id": record.account_period_id,
        "reserved_tokens": record.total_tokens,
        "reserved_microusd": record.cost_microusd,
        "observed_prompt_tokens": record.prompt_tokens,
        "observed_completion_tokens": record.completion_tokens,
        "details": b"{}",
    }
    await session.execute(insert(tables.reservation).values(settled))
    await usage.add(session, record)
    day = {
        "account_id": record.account_id,
        "day": record.ended_at.date(),
        "key_id": record.key_id or "",
        "model": record.model,
        "end_user": record.end_user or "",
        "requests": 1,
        **{name: getattr(record, name) for name in DAILY_SUMS},
    }
    await session.execute(insert(tables.usage_day).values(day))


async def note_sequences(session: AsyncSession, following: Mapping[int, int]) -> None:
    """Keep the next message's place of each conversation."""
    own = tables.conversation.c.id == bindparam("number")
    if following:
        values = [{"number": number, "following": sequence} for number, sequence in following.items()]
        noted = update(tables.conversation).where(own).values(next_sequence=bindparam("following"))
        connection = await session.connection()
        await connection.execute(noted, values)


async def _there(session: AsyncSession) -> dict[str, set[str]]:
    """The columns of each table that there is."""

    def look(connection: Connection) -> dict[str, set[str]]:
        found = inspect(connection)
        return {name: {each["name"] for each in found.get_columns(name)} for name in found.get_table_names()}

    return await (await session.connection()).run_sync(look)


def _in_utc(row: Row) -> Row:
    for name in MAY_LACK:
        moment = row.get(name)
        row[name] = moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
    return row

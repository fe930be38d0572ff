"""A Parrot database with something of everything, made as its own migrations make it."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Enum,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    text,
)
from sqlalchemy.ext.asyncio import create_async_engine

from llm_backend.database_urls import normalise

ALICES_KEY = "3f2b8a52-9d41-4c07-8a55-0f6f6b6d2a11"
BOBS_KEY = "7c0a4d9e-1b1f-4f63-9f0c-64d2c2c0a9de"
MADE, CHANGED = datetime(2024, 2, 1, 8), datetime(2024, 5, 31, 9, 30)  # noqa: DTZ001 (as Parrot keeps them)

parrot = MetaData()


def _timed(name: str, *columns: Any) -> Table:
    moments = Column("created_at", DateTime), Column("updated_at", DateTime)
    return Table(name, parrot, Column("id", Integer, primary_key=True), *columns, *moments)


account = _timed(
    "account",
    Column("name", String(80), unique=True),
    Column("api_key", String(80), unique=True),
    Column("budget", Integer),
    Column("course", String(80)),
    Column("usage", Integer),
    Column("active", Boolean),
)
user = _timed(
    "user",
    Column("name", Text),
    Column("code", String(80), unique=True),
    Column("account_id", ForeignKey("account.id")),
)
chat = _timed(
    "chat",
    Column("name", String(80)),
    Column("account_id", ForeignKey("account.id"), index=True),
    Column("model_type", String(80)),
    Column("instruction_prefix", Text),
    Column("user_prefix", Text),
    Column("assistant_prefix", Text),
)
message = _timed(
    "message",
    Column("content", Text),
    Column("role", Enum("SYSTEM", "USER", "ASSISTANT", name="role")),
    Column("chat_id", ForeignKey("chat.id"), index=True),
    Column("model_args", JSON),
    Column("usage", JSON),
)

MODEL_ARGS = {"temperature": 0.7, "top_p": 1, "max_tokens": None}
USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}

_TIMES = {"created_at": MADE, "updated_at": CHANGED}
_OPEN = {"course": "Physics", "active": True}
_CHAT = {"model_type": "chat_completion", "instruction_prefix": "I: ", "user_prefix": "U: ", "assistant_prefix": "A: "}

ROWS: dict[Table, list[dict[str, Any]]] = {
    account: [
        {"id": 3, "name": "alice", "api_key": ALICES_KEY, "budget": 100, "usage": 120, **_OPEN},
        {"id": 7, "name": "bob", "api_key": BOBS_KEY, "budget": 10_000, "usage": 12, **_OPEN, "active": False},
        {"id": 8, "name": "carol", "api_key": "9" * 36, "budget": 10_000, "usage": 0, **_OPEN, "course": "Arts"},
    ],
    user: [
        {"id": 5, "code": "s1", "name": "Ann", "account_id": 3},
        {"id": 6, "code": "s2", "name": None, "account_id": None},
    ],
    chat: [
        {"id": 11, "name": "Homework", "account_id": 3, **_CHAT},
        {"id": 12, "name": "Nothing said", "account_id": 7, **_CHAT, "model_type": "text_completion"},
    ],
    message: [
        {"id": 21, "content": "Be kind.", "role": "SYSTEM", "chat_id": 11, "model_args": {}, "usage": {}},
        {"id": 22, "content": "Hello", "role": "USER", "chat_id": 11, "model_args": {}, "usage": {}},
        {"id": 25, "content": "Hi 👋", "role": "ASSISTANT", "chat_id": 11, "model_args": MODEL_ARGS, "usage": USAGE},
    ],
}


async def make(url: str) -> None:
    """Fill the empty database of `url`."""
    engine = create_async_engine(normalise(url))
    async with engine.begin() as connection:
        await connection.run_sync(parrot.create_all)
        for table, rows in ROWS.items():
            await connection.execute(insert(table), [{**_TIMES, **row} for row in rows])
    await engine.dispose()


async def change(url: str, statement: str) -> None:
    engine = create_async_engine(normalise(url))
    async with engine.begin() as connection:
        await connection.execute(text(statement))
    await engine.dispose()

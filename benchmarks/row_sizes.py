"""`python -m benchmarks.row_sizes`: bytes that a row takes, and with its indexes, on both databases.

Requests are entered by the ledger, as a server does it; messages are written as chats write them.
"""

import argparse
import asyncio
import secrets
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import orjson

from benchmarks import postgres
from benchmarks.bookkeeping import Book, ledger, opened
from llm_backend.domain.clock import SystemClock
from llm_backend.storage import conversations, items
from llm_backend.storage.database import Database

ACCOUNTS = 100
WAITING = 100
"""Pairs at once, so that many are committed together."""
MESSAGES = 20
"""Of a chat."""
WORDS = "Tell me a story about a fox that counts. " * 10
CONTENT = orjson.dumps([{"type": "output_text", "text": WORDS}])
TABLES = ("reservation", "usage_record", "usage_day", "item")

POSTGRESQL = """
SELECT pg_table_size(c.oid), pg_indexes_size(c.oid) FROM pg_class c WHERE c.oid = $1::regclass
"""
SQLITE = """
SELECT coalesce(sum(pgsize) FILTER (WHERE name = :name), 0), coalesce(sum(pgsize) FILTER (WHERE name <> :name), 0)
  FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = :name)
"""


@dataclass(frozen=True, slots=True)
class Size:
    """Of one table, in bytes."""

    table: str
    rows: int
    of_rows: int
    of_indexes: int

    def line(self, database: str) -> str:
        each = self.of_rows / self.rows, self.of_indexes / self.rows
        return f"| {database} | {self.table} | {self.rows:,} | {each[0]:,.0f} | {each[1]:,.0f} | {sum(each):,.0f} |"


async def _filled(url: str, number: int) -> None:
    books = await opened(url, ACCOUNTS)
    database = Database(url)
    try:
        await _requests(database, books, number)
        await _messages(database, books, number)
    finally:
        await database.close()


async def _requests(database: Database, books: Sequence[Book], number: int) -> None:
    mine, left = ledger(database), iter(range(number))

    async def pairs() -> None:
        for each in left:
            book = books[each % len(books)]
            wanted = book.reserve()
            await mine.reserve(wanted)
            await mine.enter(book.settle(wanted))

    await asyncio.gather(*(pairs() for _ in range(WAITING)))


async def _messages(database: Database, books: Sequence[Book], number: int) -> None:
    now = SystemClock().now()
    for chat in range(number // MESSAGES):
        book = books[chat % len(books)]
        values = {"public_id": f"chat_{secrets.token_hex(16)}", "settings": b"{}", "created_at": now}
        async with database.begin() as session:
            made = await conversations.add(session, book.account_id, "chat", values)
            rows = [
                {
                    "public_id": f"msg_{secrets.token_hex(16)}", "conversation_id": made.id,
                    "account_id": book.account_id, "kind": "message", "role": "assistant", "status": "completed",
                    "content": CONTENT, "sequence": sequence, "attempt_id": None, "created_at": now,
                }
                for sequence in range(MESSAGES)
            ]  # fmt: skip
            await items.add(session, rows)


async def _on_postgresql(url: str, *, packed: bool) -> list[Size]:
    """`packed`: without the room that updated rows have left, which an ordinary VACUUM gives to the next ones."""
    connection = await asyncpg.connect(url)
    try:
        if packed:
            await connection.execute("VACUUM FULL")
        found = []
        for table in TABLES:
            rows = await connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608 (a name of ours)
            of_rows, of_indexes = (await connection.fetch(POSTGRESQL, table))[0]
            found.append(Size(table, rows, of_rows, of_indexes))
        return found
    finally:
        await connection.close()


def _on_sqlite(file: Path) -> list[Size]:
    connection = sqlite3.connect(file)
    try:
        found = []
        for table in TABLES:
            (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 (a name of ours)
            found.append(Size(table, rows, *connection.execute(SQLITE, {"name": table}).fetchone()))
        return found
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.row_sizes", description="Bytes that a row takes.")
    parser.add_argument("--rows", type=int, default=100_000, help="of each table (default %(default)s)")
    parser.add_argument("--postgresql", default=postgres.SERVER, metavar="URL", help="default %(default)s")
    told = parser.parse_args()
    lines = [f"A message has {len(CONTENT)} bytes of content.", ""]
    lines.append("| database | table | rows | bytes a row | of its indexes | together |")
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, postgres.database(told.postgresql) as url:
        file = Path(folder) / "llm-backend.db"
        asyncio.run(_filled(f"sqlite:///{file}", told.rows))
        lines += [size.line("SQLite") for size in _on_sqlite(file)]
        asyncio.run(_filled(url, told.rows))
        lines += [size.line("PostgreSQL") for size in asyncio.run(_on_postgresql(url, packed=False))]
        lines += [size.line("PostgreSQL, packed") for size in asyncio.run(_on_postgresql(url, packed=True))]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

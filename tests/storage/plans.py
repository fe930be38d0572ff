"""How a database would find the rows of statements, and what is wrong with that where tables grow."""

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any

import asyncpg
import orjson

from llm_backend.database_urls import is_sqlite
from llm_backend.errors import Json
from llm_backend.storage.tables import installation, metadata
from llm_backend.storage.urls import file_of
from tests.storage.watching import Watched

GROWING = frozenset(metadata.tables) - {installation.name}

BOUNDED = frozenset({"ix_reservation_open", "ix_response_lease_until"})
"""The indexes that have only what runs at this moment, and on PostgreSQL what ran since they were vacuumed.

They may be looked through, but not by what is asked with each request.
"""

INDEX_SCANS = frozenset({"Index Scan", "Index Only Scan", "Bitmap Index Scan"})

LEADING = """
SELECT relname, (SELECT attname FROM pg_attribute WHERE attrelid = indrelid AND attnum = indkey[0])
  FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid::regclass::text = ANY($1)
"""

_SCAN = re.compile(r"SCAN (\w+?)(_\d+)?( USING (COVERING )?INDEX (\w+))?$")
_CUT_OFF = re.compile(r"\bLIMIT\b[^)]*$")


async def complaints(url: str, watched: Watched, *, each_request: bool = False) -> dict[str, list[str]]:
    """By its text, each statement whose plan reads through a table that grows, or sorts more than it returns.

    `each_request`: whether PostgreSQL executes them with each request.
    """
    if is_sqlite(url):
        plans = _sqlite(url, watched)
    else:
        may_be_read = frozenset[str]() if each_request else BOUNDED
        plans = {each: wrong async for each, wrong in _postgresql(url, watched, may_be_read)}
    return {text: wrong for text, wrong in plans.items() if wrong}


def _sqlite(url: str, watched: Watched) -> dict[str, list[str]]:
    with closing(sqlite3.connect(f"file:{file_of(url)}?mode=ro", uri=True)) as connection:
        return {
            text: list(
                _judged_lines(text, [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)])
            )
            for text, values in watched.statements.items()
        }


def _judged_lines(text: str, lines: list[str]) -> Iterator[str]:
    is_cut_off = bool(_CUT_OFF.search(text))
    is_bounded = all(any(index in line for index in BOUNDED) for line in lines if line.startswith(("SCAN", "SEARCH")))
    for line in lines:
        scan = _SCAN.match(line)
        # In the order of a key, up to a limit, and with no row passed over, as much is read as is returned.
        is_page = is_cut_off and "WHERE" not in text
        if scan and scan[1] in GROWING and scan[5] not in BOUNDED and not is_page:
            yield line
        # Who groups asks for all of the groups' rows; who only cuts off does not.
        is_sort = line.startswith("USE TEMP B-TREE FOR") and "RIGHT PART" not in line
        if is_sort and is_cut_off and not is_bounded and "GROUP BY" not in text:
            yield line


async def _postgresql(url: str, watched: Watched, may_be_read: frozenset[str]) -> AsyncIterator[tuple[str, list[str]]]:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        leading = {row[0]: row[1] for row in await connection.fetch(LEADING, list(GROWING))}
        leading = {index: column for index, column in leading.items() if index not in may_be_read}
        # As of tables of any size, whatever they hold here, and whatever values a statement is given.
        await connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
        for number, text in enumerate(watched.statements):
            plan = await _explained(connection, f"statement_{number}", text)
            yield text, list(_judged_node(plan, leading, is_cut_off=False))
    finally:
        await connection.close()


async def _explained(connection: Any, name: str, text: str) -> Json:
    parameters = len((await connection.prepare(text)).get_parameters())
    await connection.execute(f"PREPARE {name} AS {text}")
    values = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
    [row] = await connection.fetch(f"EXPLAIN (FORMAT JSON) EXECUTE {name}{values}")
    return orjson.loads(row[0])[0]["Plan"]


def _judged_node(node: Json, leading: dict[str, str], *, is_cut_off: bool) -> Iterator[str]:
    """`leading`: the first column of each index of ours: with a condition on none but later ones all of it is read."""
    kind, index = node["Node Type"], node.get("Index Name")
    if kind == "Seq Scan" and node["Relation Name"] in GROWING:
        yield f"{kind} on {node['Relation Name']}"
    is_page = is_cut_off and "Filter" not in node
    if kind in INDEX_SCANS and index in leading:
        is_narrowed = re.search(rf"\b{leading[index]}\b", node.get("Index Cond", ""))
        if not (is_narrowed or is_page):
            yield f"{kind} through all of {index}"
    for inner in node.get("Plans", ()):
        yield from _judged_node(inner, leading, is_cut_off=kind == "Limit")

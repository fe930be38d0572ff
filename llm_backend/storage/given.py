"""How a statement of PostgreSQL is given rows."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    CTE,
    JSON,
    ColumnElement,
    FromClause,
    Text,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.types import TypeEngine

from llm_backend.storage.driver import Values, taker

Columns = Sequence[tuple[str, TypeEngine[Any]]]


class Lists:
    """Rows as a list of each column: those that other rows are looked up for, by plans that know that they are few."""

    def __init__(self, part: str, columns: Columns) -> None:
        """`part`: the field that has the rows."""
        self.part = part
        self._names = [(f"{part}_{name}", name) for name, _ in columns]
        self._lists = {name: bindparam(f"{part}_{name}", type_=ARRAY(kind)) for name, kind in columns}
        self.rows = _derived(func.unnest(*self._lists.values()), part, columns)

    def includes(self, name: str, value: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether `value` is among those of one column."""
        return value == any_(self._lists[name])

    def are_all(self, found: CTE, which: ColumnElement[bool]) -> ColumnElement[bool]:
        """Whether there is one of `found` for each row, of which that is so."""
        number = select(func.count()).select_from(found).where(which).scalar_subquery()
        return func.cardinality(next(iter(self._lists.values()))) == number

    def values(self, rows: Collection[Values]) -> Iterator[tuple[str, Any]]:
        for parameter, name in self._names:
            yield parameter, [row[name] for row in rows]


class Document:
    """Rows as one JSON: those that are inserted. Of lists, asyncpg asks each value whether it is a list itself."""

    def __init__(self, part: str, columns: Columns) -> None:
        self.part = part
        document = cast(bindparam(part, type_=Text()), JSON)
        self.rows = _derived(func.json_to_recordset(document), part, columns, with_types=True)

    def values(self, rows: Collection[Values]) -> Iterator[tuple[str, Any]]:
        yield self.part, orjson.dumps(rows, default=_hexadecimal).decode()


class Row:
    """A single row, each of its values by itself: PostgreSQL takes no function apart to find it, and no list."""

    def __init__(self, part: str, columns: Columns) -> None:
        """`part`: the field that has the row."""
        self.part = part
        self._parameters = tuple(f"{part}_{name}" for name, _ in columns)
        self._taken = taker([name for name, _ in columns])
        self._values = {name: cast(bindparam(f"{part}_{name}", type_=kind), kind) for name, kind in columns}
        self.rows: FromClause = select(*(each.label(name) for name, each in self._values.items())).subquery(part)

    def includes(self, name: str, value: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether `value` is that of its column."""
        return value == self._values[name]

    def are_all(self, found: CTE, which: ColumnElement[bool]) -> ColumnElement[bool]:
        """Whether there is one of `found`, of which that is so; null where there is none."""
        return select(which).select_from(found).scalar_subquery()

    def values(self, rows: Collection[Values]) -> Iterator[tuple[str, Any]]:
        (row,) = rows
        return zip(self._parameters, self._taken(row), strict=True)


LookedFor = Lists | Row
Given = LookedFor | Document


def values(given: Mapping[str, Given], of: object, parts: Iterable[str]) -> Values:
    """The values of the parts, fields `of` something, by their parameters."""
    return dict(chain.from_iterable(given[part].values(getattr(of, part)) for part in parts))


def _derived(function: Any, name: str, columns: Columns, *, with_types: bool = False) -> FromClause:
    table = function.table_valued(*(column(name, kind) for name, kind in columns))
    derived: FromClause = table.render_derived(name, with_types=with_types)
    return derived


def _hexadecimal(value: bytes) -> str:
    """As PostgreSQL reads bytes."""
    return f"\\x{value.hex()}"

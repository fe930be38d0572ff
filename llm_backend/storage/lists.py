"""Lists of any length as one value of a statement, whose text is then always the same."""

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import ARRAY, ColumnElement, Integer, Select, Text, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql


def written(values: Iterable[Any], *, is_sqlite: bool) -> Any:
    """A list as a statement takes it."""
    return orjson.dumps(list(values)).decode() if is_sqlite else list(values)


def within(column: ColumnElement[Any], name: str, of: type[Any], *, is_sqlite: bool) -> ColumnElement[bool]:
    """Whether `column` is in the list that is bound as `name`."""
    if is_sqlite:
        return column.in_(listed(name, of, is_sqlite=True))
    return column == any_(bindparam(name, type_=ARRAY(_element(of))))


def listed(name: str, of: type[Any], *, is_sqlite: bool) -> Select[Any]:
    """The values of the list that is bound as `name`, a row each."""
    if is_sqlite:
        return select(func.json_each(bindparam(name, type_=Text)).table_valued("value").c.value)
    return select(func.unnest(bindparam(name, type_=ARRAY(_element(of)))))


def _element(of: type[Any]) -> type[Any]:
    return postgresql.BIGINT if of is Integer else of

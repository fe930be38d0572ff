"""Statements on the rows that have one of some values, which are a single one most of the time."""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import ClauseElement, ColumnElement, bindparam

from llm_backend.storage import lists
from llm_backend.storage.driver import Hot, Step


class Sought:
    """A statement on the rows whose `column` has one of some values.

    On SQLite to read a list, and to gather it, is more work than to find a row: there a single value comes as it is.
    """

    def __init__(
        self,
        column: ColumnElement[Any],
        of: type[Any],
        statement: Callable[[ColumnElement[bool]], ClauseElement],
        *,
        is_sqlite: bool,
    ) -> None:
        self._is_sqlite = is_sqlite
        self.some = Hot(statement(lists.within(column, "sought", of, is_sqlite=is_sqlite)), is_sqlite=is_sqlite)
        one = statement(column == bindparam("sought", type_=of))
        self.one = Hot(one, is_sqlite=True) if is_sqlite else self.some

    def step(self, values: Iterable[Any]) -> Step:
        if self._is_sqlite:
            values = list(values)
            if len(values) == 1:
                return self.one, {"sought": values[0]}
        return self.some, {"sought": lists.written(values, is_sqlite=self._is_sqlite)}

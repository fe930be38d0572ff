"""The shape of a check: a query whose every row is a violation."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Numeric


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to be true."""

    invariant: str
    """As `docs/usage.md` names it."""
    says: str
    """What a row of `finds` shows, with the row's values by name."""
    finds: Select[Any]
    """Columns whose names end in `_id` tell which rows are meant."""


class json_number(FunctionElement[float]):  # noqa: N801 (reads as the SQL function that it is)
    """The number under a name in a JSON object that is kept as bytes; null where there is none."""

    type = Numeric(asdecimal=False)
    inherit_cache = True


@compiles(json_number, "sqlite")
def _sqlite(element: json_number, compiler: Any, **options: Any) -> str:
    column, name = (compiler.process(clause, **options) for clause in element.clauses)
    written, path = f"CAST({column} AS TEXT)", f"'$.' || {name}"
    is_number = f"json_valid({written}) AND json_type({written}, {path}) IN ('integer', 'real')"
    return f"CASE WHEN {is_number} THEN json_extract({written}, {path}) END"


@compiles(json_number, "postgresql")
def _postgresql(element: json_number, compiler: Any, **options: Any) -> str:
    column, name = (compiler.process(clause, **options) for clause in element.clauses)
    written = f"CAST(convert_from({column}, 'UTF8') AS JSON)"
    return f"CASE WHEN json_typeof({written} -> {name}) = 'number' THEN CAST({written} ->> {name} AS NUMERIC) END"

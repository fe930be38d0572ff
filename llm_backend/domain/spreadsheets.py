"""Tables as CSV, that a spreadsheet takes as data."""

import csv
import io
from collections.abc import Iterable, Sequence

from llm_backend.errors import Json

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A text that begins so is run by spreadsheets; numbers are no texts."""


def csv_lines(rows: Iterable[Sequence[Json]]) -> str:
    """`rows` as lines; null is an empty cell."""
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Json) -> Json:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value

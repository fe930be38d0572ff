"""How the ledger's statements find their rows: however many there are, not by looking at all of them."""

import sqlite3
from pathlib import Path

import pytest

from llm_backend.storage.driver import Step
from llm_backend.storage.ledger import statements

ON_SQLITE = statements(is_sqlite=True)
STEPS = {"sums": ON_SQLITE.sums([1], [2]), "end users": ON_SQLITE.end_users([1], ["user:a"])}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_periods_and_budgets_are_found_by_their_indexes(step: Step, migrated_file: Path) -> None:
    hot, values = step
    assert isinstance(values, dict)

    with sqlite3.connect(f"file:{migrated_file}?mode=ro", uri=True) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {hot.text}", hot.written(values))]

    assert [line for line in plan if line.startswith("SCAN budget")] == []
    assert any(line.startswith("SEARCH budget_period") for line in plan)

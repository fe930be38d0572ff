"""Killed at twelve places with ten requests running: nothing is lost, doubled or left behind, on either database.

`PROOF=1` (`make proof`) kills 300 times on each database, at passings of a random number; CI kills once at each place.
"""

import os
from pathlib import Path
from random import Random

from llm_backend.storage.database import Database
from tests.proof.survivors import Survivors

POINTS = {
    "before reserving": 10,
    "reserving": 2,
    "before asking": 9,
    "asked": 9,
    "first event": 15,
    "beaten": 2,
    "before settling": 3,
    "settling": 2,
    "settled": 6,
    "journal": 4,
    "sweeping": 1,
    "recovering": 1,
}
"""Where, and the latest passing at which; what that is of, dying.py says."""

KILLS = 300 if os.environ.get("PROOF") == "1" else len(POINTS)


async def test_whatever_a_process_was_doing_when_it_was_killed_the_books_are_right(
    database: Database, tmp_path: Path
) -> None:
    # Rows 45 to 47, E2
    random = Random(KILLS)  # noqa: S311 (who dies when)
    async with Survivors.of(database, tmp_path) as survivors:
        for number in range(KILLS):
            point, latest = list(POINTS.items())[number % len(POINTS)]
            passing = random.randint(1, latest)
            try:
                await survivors.kill(point, passing)
            except AssertionError as error:
                error.add_note(f"kill {number}, at passing {passing} of {point!r}")
                raise

"""What the database would not take, entered when it does."""

from pathlib import Path

from llm_backend.domain.backlog import Backlog, as_json
from llm_backend.metrics import Metrics
from llm_backend.storage.database import Database
from llm_backend.storage.invariants import violations
from llm_backend.storage.journal import Journal
from tests.domain.booked import Books


async def test_a_journal_of_another_database_stays_and_keeps_no_process_from_starting(
    database: Database, tmp_path: Path
) -> None:
    books = await Books.of(database)
    await _left_behind(tmp_path, "a", books, "of another database")
    await _left_behind(tmp_path, "b", books, await books.reserved(10))

    await Backlog(books.ledger, tmp_path, Metrics()).take_over()

    assert _files(tmp_path) == ["journal-a.jsonl"]
    assert await books.sums() == (5, 0)
    async with database.reading() as session:
        assert await violations(session) == []


def _files(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("journal-*")]


async def _left_behind(folder: Path, owner: str, books: Books, attempt_id: str) -> None:
    journal = Journal(folder, owner)
    await journal.append(as_json(books.settles(attempt_id)))
    await journal.close()

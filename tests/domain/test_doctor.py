"""The check that an operator's monitoring sees."""

from sqlalchemy import update

from llm_backend.domain.doctor import DailyCheck
from llm_backend.metrics import Metrics
from llm_backend.storage.database import Database
from llm_backend.storage.tables import budget_period
from tests.domain.booked import Books


async def test_what_does_not_agree_is_counted_until_it_does(database: Database) -> None:
    books = await Books.of(database)
    await books.ledger.enter(books.settles(await books.reserved()))
    metrics = Metrics()
    check = DailyCheck(database.url, metrics)

    seen = []
    for used in (4, 5):
        async with database.begin() as session:
            await session.execute(update(budget_period).values(used_tokens=used))
        await check.count()
        seen.append(b"llm_backend_accounting_violations 1.0" in metrics.text())

    assert seen == [True, False]

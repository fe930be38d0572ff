"""The work that requests are for the database does not grow with its rows: counted in SQLite's own instructions."""

import shutil
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert

from benchmarks.filling import Amounts, fill
from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.conversations import Conversations
from llm_backend.domain.identity import Caller
from llm_backend.errors import Json
from llm_backend.storage.database import Database
from llm_backend.storage.invariants import violations
from llm_backend.storage.items import Item
from llm_backend.storage.tables import budget_period
from tests.domain.booked import Books
from tests.serving import serving
from tests.storage.busy import MODELS, ask_everything
from tests.storage.test_query_plans import READ_WHOLE
from tests.storage.watching import watching
from tests.whole.access import world_on

LITTLE = Amounts(records=600, keys=300, messages=100, others=2)
MUCH = Amounts(records=12_000, keys=6_000, messages=2_000, others=40)
"""Twenty times as much of everything; pages are full with little already."""

ADD_UP = {"explainBudget", "explainOwnBudget", "getUsage", "getOwnUsage", "getBillingUsage"}
"""Operations whose answer is a sum over as many rows as there are."""

MORE = 1.25
"""Trees of twenty times the rows are a level higher, and what beats beside a request is counted with it."""
BESIDE = 40
"""Of what is counted."""

DAY = timedelta(days=1)

HELLO: Json = {"role": "user", "content": "Hello"}


async def test_the_work_of_requests_does_not_grow_with_the_rows(migrated_file: Path, tmp_path: Path) -> None:
    little = await _work(Path(shutil.copy(migrated_file, tmp_path / "little.db")), LITTLE)
    much = await _work(Path(shutil.copy(migrated_file, tmp_path / "much.db")), MUCH)

    grown = {operation for operation in much if much[operation] > little.get(operation, 0) * MORE + BESIDE}

    assert {each: (little[each], much[each]) for each in grown - ADD_UP - set(READ_WHOLE)} == {}
    # The count tells work that does grow.
    assert grown >= {"listAccounts", "explainBudget"}


async def test_the_work_of_a_reservation_does_not_grow_with_the_periods_that_are_over(
    migrated_file: Path, tmp_path: Path
) -> None:
    few = await _reserving(Path(shutil.copy(migrated_file, tmp_path / "few.db")), periods=1)
    many = await _reserving(Path(shutil.copy(migrated_file, tmp_path / "many.db")), periods=500)

    assert 0 < few <= many < few * MORE


async def test_the_work_on_a_conversation_does_not_grow_with_its_items(migrated_file: Path, tmp_path: Path) -> None:
    few = await _talking(Path(shutil.copy(migrated_file, tmp_path / "few.db")), items=100)
    many = await _talking(Path(shutil.copy(migrated_file, tmp_path / "many.db")), items=10_000)

    assert 0 < many < few * MORE


def _thought(number: int) -> Json:
    return {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": "sealed"}


async def _talking(file: Path, items: int) -> int:
    """What SQLite works for pages of a conversation of so many items, from its end and in its middle."""
    with watching() as watched:
        database = Database(f"sqlite:///{file}")
        account = await Accounts(database, SystemClock()).create("alice")
        talks = Conversations(database, SystemClock())
        alice = Caller(account.id, account.name, None)
        talk = await talks.create(alice, [], {})
        kept: list[Item] = []
        for _ in range(items // 100):
            kept += (await talks.add(alice, talk.public_id, [HELLO] * 99 + [_thought(len(kept))])).items
        watched.work.clear()
        for newest_first in (True, False):
            for after in (None, kept[50].public_id, kept[-50].public_id):
                page = await talks.page(account.id, talk.public_id, newest_first=newest_first, after=after, limit=20)
                assert len(page.data) == 20
        await talks.item(account.id, talk.public_id, kept[50].public_id)
        await talks.add(alice, talk.public_id, [HELLO])
        await talks.remove(account.id, talk.public_id, kept[50].public_id)
        await database.close()
    return watched.work[""]


async def _reserving(file: Path, periods: int) -> int:
    """What SQLite works for twenty reservations on a budget of which so many periods have ended."""
    with watching() as watched:
        database = Database(f"sqlite:///{file}")
        books = await Books.of(database, token_limit=1_000)
        await books.reserved()
        whole = await books.period()
        bounds = [{"starts_at": whole.starts_at + DAY * (day + 1)} for day in range(periods)]
        of = {"budget_id": whole.budget_id, "account_id": whole.account_id}
        async with database.begin() as session:
            await session.execute(
                insert(budget_period), [of | day | {"ends_at": day["starts_at"] + DAY} for day in bounds]
            )
        watched.work.clear()
        for _ in range(20):
            await books.reserved()
        await database.close()
    return watched.work[""]


async def _work(file: Path, amounts: Amounts) -> dict[str, int]:
    """By operation, what SQLite works for it where there is so much."""
    with watching() as watched:
        async with serving(f"sqlite:///{file}", file.parent, toml=MODELS) as running, world_on(running) as world:
            await fill(running.database, int(world.own["account_id"]), int(world.own["chat_id"]), amounts)
            async with running.database.reading() as session:
                assert await violations(session) == []
            watched.work.clear()
            await ask_everything(world, watched)
    return watched.work

"""What a budget's sums are made of."""

from datetime import timedelta

from sqlalchemy import delete, insert, update

from llm_backend.domain.explanations import Explanations, Sum
from llm_backend.storage.database import Database
from llm_backend.storage.tables import budget, budget_period
from tests.storage.ledgers import ALICE, BOB, CRASHED, KEY_ID, NOW, OF_KEY, OPEN, SETTLED, WHOLE, keep_a_sound_ledger


async def test_every_budget_is_explained_line_by_line(database: Database) -> None:
    await keep_a_sound_ledger(database)

    found = await Explanations(database).of(ALICE)

    assert [each.budget.subject for each in found] == ["", f"key:{KEY_ID}", "model:echo"]
    for each in found:
        lines = [(entry.attempt_id, entry.kind, so_far.tokens, so_far.microusd) for entry, so_far in each.lines]
        assert lines == [(SETTLED, "charge", 12, 3), (CRASHED, "charge", 24, 6), (CRASHED, "adjustment", 22, 5)]
        assert [running.attempt_id for running in each.running] == [OPEN]
        assert (each.earlier, each.held) == (Sum(0, 0, 0), Sum(1, 20, 9))
        assert each.agrees


async def test_what_is_older_than_the_lines_is_one_sum(database: Database) -> None:
    await keep_a_sound_ledger(database)

    whole = (await Explanations(database).of(ALICE, limit=1))[0]

    assert whole.earlier == Sum(2, 24, 6)
    assert [(entry.kind, so_far.tokens, so_far.microusd) for entry, so_far in whole.lines] == [("adjustment", 22, 5)]
    assert whole.agrees


async def test_a_sum_that_is_wrong_is_found_in_its_budget_only(database: Database) -> None:
    await keep_a_sound_ledger(database)
    async with database.begin() as session:
        wrong = update(budget_period).where(budget_period.c.id == OF_KEY).values(reserved_microusd=1)
        await session.execute(wrong)

    found = await Explanations(database).of(ALICE)

    assert [each.agrees for each in found] == [True, False, True]
    assert (found[1].stored["reserved_microusd"], found[1].derived["reserved_microusd"]) == (1, 9)


async def test_what_was_carried_over_is_part_of_the_limit(database: Database) -> None:
    await keep_a_sound_ledger(database)
    async with database.begin() as session:
        await session.execute(update(budget).where(budget.c.id == WHOLE).values(token_limit=60, microusd_limit=None))

    whole = (await Explanations(database).of(ALICE))[0]

    assert (whole.limit("token_limit"), whole.carried_over("token_limit")) == (100, 40)
    assert whole.carried_over("microusd_limit") == 0


async def test_only_the_current_period_counts(database: Database) -> None:
    await keep_a_sound_ledger(database)
    over = update(budget_period).where(budget_period.c.id == WHOLE).values(ends_at=NOW - timedelta(minutes=1))
    next_one = {"budget_id": WHOLE, "account_id": ALICE, "starts_at": NOW - timedelta(minutes=1), "token_limit": 5}
    async with database.begin() as session:
        await session.execute(over)
        await session.execute(insert(budget_period).values(**next_one))

    whole = (await Explanations(database).of(ALICE))[0]

    assert (whole.limit("token_limit"), list(whole.entries), whole.agrees) == (5, [], True)


async def test_a_budget_in_which_nothing_was_asked_so_far_has_its_own_limit(database: Database) -> None:
    await keep_a_sound_ledger(database)
    async with database.begin() as session:
        await session.execute(delete(budget_period).where(budget_period.c.account_id == BOB))

    [whole] = await Explanations(database).of(BOB)

    assert (whole.period, whole.limit("token_limit"), whole.agrees) == (None, 100, True)

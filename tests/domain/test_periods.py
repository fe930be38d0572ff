"""When budgets renew: at midnight where the account is, whatever its clocks do."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from llm_backend.domain import budgets
from llm_backend.domain.budgets import Rules
from llm_backend.domain.periods import span
from llm_backend.errors import InvalidRequest
from llm_backend.storage import accounts
from llm_backend.storage import budgets as stored
from llm_backend.storage.budgets import Period
from llm_backend.storage.database import Database
from tests.storage.records import NOON

TERMS = ["2026-01-10", "2026-04-01", "2026-07-01"]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("renewal", "zone", "moment", "starts", "ends"),
    [
        ("day", "UTC", "2026-03-01T12:00", "2026-03-01T00:00", "2026-03-02T00:00"),
        ("day", "Asia/Tokyo", "2026-03-01T16:00", "2026-03-01T15:00", "2026-03-02T15:00"),
        # The nights on which Berlin's clocks go forward and back: days of 23 and 25 hours.
        ("day", "Europe/Berlin", "2026-03-29T10:00", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("day", "Europe/Berlin", "2026-10-25T10:00", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("week", "UTC", "2026-03-01T12:00", "2026-02-23T00:00", "2026-03-02T00:00"),
        ("month", "America/New_York", "2026-12-31T23:00", "2026-12-01T05:00", "2027-01-01T05:00"),
        ("term", "UTC", "2026-03-31T23:59", "2026-01-10T00:00", "2026-04-01T00:00"),
        ("term", "UTC", "2026-04-01T00:00", "2026-04-01T00:00", "2026-07-01T00:00"),
    ],
)
def test_a_period_is_from_midnight_to_midnight_in_the_accounts_zone(
    renewal: Any, zone: str, moment: str, starts: str, ends: str
) -> None:
    found = span(renewal, TERMS, zone, at(moment))

    assert (found.starts_at, found.ends_at, found.is_open) == (at(starts), at(ends), True)


@pytest.mark.parametrize("moment", ["2026-01-09T23:59", "2026-07-01T00:00", "2030-01-01T00:00"])
def test_before_the_first_term_and_after_the_last_nothing_is_open(moment: str) -> None:
    assert not span("term", TERMS, "UTC", at(moment)).is_open


def test_a_budget_that_never_renews_has_one_period() -> None:
    assert span("never", None, "UTC", NOON).ends_at is None


@pytest.mark.parametrize(
    "rules",
    [
        {"renewal": "term"},
        {"renewal": "term", "terms": ["2026-01-01"]},
        {"renewal": "term", "terms": ["2026-02-01", "2026-01-01"]},
        {"renewal": "term", "terms": ["soon", "later"]},
        {"renewal": "day", "terms": TERMS},
    ],
)
def test_rules_that_do_not_fit_together_are_refused(rules: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        budgets.checked(rules)

    assert refused.value.param == "terms"


async def test_what_is_left_is_carried_into_the_next_period_and_through_those_that_nobody_used(
    database: Database,
) -> None:
    periods = await _renewed(
        database, at("2026-03-02T12:00"), at("2026-03-05T12:00"), token_limit=100, carries_over=True
    )

    # 40 of the first day; the second with what was left of it; two whole days that nobody used besides.
    assert [period.token_limit for period in periods] == [100, 160, 460]


async def test_what_years_carry_is_kept_where_the_limit_is_the_largest(database: Database) -> None:
    periods = await _renewed(database, at("2030-03-02T12:00"), token_limit=2**53 - 1, carries_over=True)

    assert periods[1].token_limit == budgets.MOST_CARRIED


async def test_without_carrying_over_each_period_has_its_own_limit(database: Database) -> None:
    periods = await _renewed(database, at("2026-03-02T12:00"), token_limit=100)

    assert [period.token_limit for period in periods] == [100, 100]


async def test_a_limit_that_is_changed_holds_at_once_and_keeps_what_was_carried(database: Database) -> None:
    periods = await _renewed(
        database, at("2026-03-02T12:00"), token_limit=100, carries_over=True, then={"token_limit": 10}
    )

    assert [period.token_limit for period in periods] == [100, 70]


async def test_a_renewal_that_is_changed_begins_a_period_where_the_last_one_is_cut(database: Database) -> None:
    periods = await _renewed(database, at("2026-03-02T12:00"), token_limit=100, then={"renewal": "month"})

    assert [period.ends_at for period in periods] == [
        at("2026-03-02T00:00"),
        at("2026-03-02T12:00"),
        at("2026-04-01T00:00"),
    ]
    assert periods[2].starts_at == at("2026-03-02T12:00")


async def test_a_renewal_that_is_changed_twice_in_a_moment_leaves_one_period(database: Database) -> None:
    then = [{"renewal": "month"}, {"renewal": "week"}]

    periods = await _renewed(database, at("2026-03-04T12:00"), token_limit=100, then=then)

    assert [period.ends_at for period in periods[1:]] == [at("2026-03-04T12:00"), at("2026-03-09T00:00")]


async def test_what_the_last_term_left_is_carried_past_a_time_without_terms(database: Database) -> None:
    terms = ["2026-03-01", "2026-04-01"]
    rules = {"renewal": "term", "terms": terms, "token_limit": 100, "carries_over": True}

    periods = await _renewed(database, at("2026-04-02T12:00"), then={"terms": [*terms, "2026-06-01"]}, **rules)

    # Somebody asked after the last term, before there was another.
    assert [period.token_limit for period in periods] == [100, 0, 160]


async def test_a_limit_that_is_changed_after_the_last_term_opens_nothing(database: Database) -> None:
    rules = {"renewal": "term", "terms": ["2026-03-01", "2026-04-01"], "token_limit": 100}

    periods = await _renewed(database, at("2026-04-02T12:00"), then={"token_limit": 200}, **rules)

    assert [period.token_limit for period in periods] == [100, 0]


async def _renewed(database: Database, *moments: datetime, then: Any = None, **rules: Any) -> list[Period]:
    """A budget's periods by the day, oldest first: 40 used on the first day; at the end `then` is changed."""
    async with database.begin() as session:
        account = await accounts.add(session, "alice", NOON)
        made = await budgets.begin(session, account, cast("Rules", {"renewal": "day", **rules}), NOON)
        [first] = await stored.periods(session, made.id)
        await stored.charge(session, first.id, 40, 0)
        for moment in moments:
            await budgets.open_current(session, "UTC", made, moment)
        for changes in then if isinstance(then, list) else [then] if then else []:
            known = await stored.find(session, account.id)
            assert known is not None
            await budgets.change(session, known, changes, moments[-1])
            known = await stored.find(session, account.id)
            assert known is not None
            await budgets.open_current(session, "UTC", known, moments[-1])
        return list(reversed(await stored.periods(session, made.id)))

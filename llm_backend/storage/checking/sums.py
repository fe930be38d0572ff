"""I1, I2 and I6, and the days: every sum beside the rows that it is of."""

from typing import Any

from sqlalchemy import BigInteger, CompoundSelect, Select, Subquery, and_, case, cast, func, or_, select, union_all

from llm_backend.storage.checking.check import Check
from llm_backend.storage.days import utc_day
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.tables import budget, budget_period, reservation, usage_day, usage_record

ROLES = {"account_period_id": "", "key_period_id": "key:", "model_period_id": "model:", "user_period_id": "user:"}
"""The columns that name a period, and how the subject of its budget begins."""

used = usage_record.c
IS_OPEN = reservation.c.state.in_(("held", "dispatched"))

DAY_KEY = ("account_id", "day", "key_id", "model", "end_user")


def checks() -> list[Check]:
    """Those of this module."""
    return [
        Check(
            "I1",
            "period {period_id} of account {account_id} says {tokens} tokens and {microusd} micro-dollars used, "
            "its records sum up to {true_tokens} and {true_microusd}",
            _differing("used", _charged()),
        ),
        *(
            Check("I1", "{kind} of attempt {attempt_id} is charged to period {period_id}, which is not its own", query)
            for query in map(_misplaced, ROLES)
        ),
        Check(
            "I2",
            "period {period_id} of account {account_id} says {tokens} tokens and {microusd} micro-dollars reserved, "
            "its open reservations sum up to {true_tokens} and {true_microusd}",
            _differing("reserved", _reserved()),
        ),
        Check(
            "I6",
            "period {period_id} of account {account_id} is over its limit ({tokens} tokens, {microusd} micro-dollars "
            "used and reserved) and no record of it says why",
            _over(),
        ),
        Check(
            "usage_day",
            "day {day} of account {account_id} (key {key_id!r}, model {model!r}, user {end_user!r}) is not the sum of "
            "its records: off by {requests} requests, {prompt_tokens} and {completion_tokens} tokens, "
            "{cost_microusd} micro-dollars",
            _days(),
        ),
    ]


def _charged() -> CompoundSelect[Any]:
    tokens = used.prompt_tokens + used.completion_tokens
    return union_all(
        *(
            select(used[role].label("period_id"), tokens.label("tokens"), used.cost_microusd.label("microusd")).where(
                used[role].is_not(None)
            )
            for role in ROLES
        )
    )


def _reserved() -> CompoundSelect[Any]:
    held = reservation.c
    amounts = held.reserved_tokens.label("tokens"), held.reserved_microusd.label("microusd")
    return union_all(
        *(select(held[role].label("period_id"), *amounts).where(IS_OPEN, held[role].is_not(None)) for role in ROLES)
    )


def _differing(kind: str, rows: CompoundSelect[Any]) -> Select[Any]:
    """Periods whose `<kind>_…` columns are not the sums of `rows`."""
    sums = _summed(rows.subquery())
    stored = [budget_period.c[f"{kind}_{name}"] for name in ("tokens", "microusd")]
    true = [func.coalesce(sums.c[name], 0) for name in ("tokens", "microusd")]
    return (
        select(
            budget_period.c.id.label("period_id"),
            budget_period.c.account_id,
            stored[0].label("tokens"),
            stored[1].label("microusd"),
            true[0].label("true_tokens"),
            true[1].label("true_microusd"),
        )
        .select_from(budget_period.outerjoin(sums, sums.c.period_id == budget_period.c.id))
        .where(or_(stored[0] != true[0], stored[1] != true[1]))
        .order_by(budget_period.c.id)
    )


def _summed(rows: Subquery) -> Subquery:
    sums = [cast(func.sum(rows.c[name]), BigInteger).label(name) for name in ("tokens", "microusd")]
    return select(rows.c.period_id, *sums).group_by(rows.c.period_id).subquery()


def _misplaced(role: str) -> Select[Any]:
    """Records whose period is another account's, or bounds something else than its column says."""
    start = ROLES[role]
    is_kind = budget.c.subject.startswith(start) if start else budget.c.subject == ""
    joined = usage_record.join(budget_period, budget_period.c.id == used[role]).join(
        budget, budget.c.id == budget_period.c.budget_id
    )
    columns = used.attempt_id, used.kind, used.account_id, used[role].label("period_id")
    is_foreign = or_(budget_period.c.account_id != used.account_id, ~is_kind)
    return select(*columns).select_from(joined).where(is_foreign).order_by(used.attempt_id)


def _over() -> Select[Any]:
    """Periods that a new admission must have pushed over their limit.

    What was admitted stays within the limit until its truth is larger: that record says `overrun`, or is an adjustment
    upwards. A budget that was changed after the period began may have had its limit lowered: nothing can be said.
    """
    period = budget_period.c
    tokens, microusd = period.used_tokens + period.reserved_tokens, period.used_microusd + period.reserved_microusd
    grew = or_(used.prompt_tokens + used.completion_tokens > 0, used.cost_microusd > 0)
    excuses = or_(used.overrun, and_(used.kind == "adjustment", grew))
    # Each by its own column: an `or` would look at every record for every period.
    excused = union_all(*(select(used[role]).where(excuses, used[role].is_not(None)) for role in ROLES))
    return (
        select(period.id.label("period_id"), period.account_id, tokens.label("tokens"), microusd.label("microusd"))
        .select_from(budget_period.join(budget))
        .where(
            or_(tokens > period.token_limit, microusd > period.microusd_limit),
            or_(budget.c.updated_at.is_(None), budget.c.updated_at < period.starts_at),
            period.id.not_in(excused),
        )
        .order_by(period.id)
    )


def _days() -> Select[Any]:
    """Days that are not what their records sum up to: the difference, where it is any."""
    stored = [*(usage_day.c[name] for name in DAY_KEY), usage_day.c.requests]
    kept = select(*stored, *(usage_day.c[name] for name in DAILY_SUMS))
    taken = select(
        used.account_id,
        utc_day(used.ended_at).label("day"),
        func.coalesce(used.key_id, "").label("key_id"),
        used.model,
        func.coalesce(used.end_user, "").label("end_user"),
        case((used.kind == "charge", -1), else_=0).label("requests"),
        *((-used[name]).label(name) for name in DAILY_SUMS),
    )
    both = union_all(kept, taken).subquery()
    sums = {name: cast(func.sum(both.c[name]), BigInteger) for name in ("requests", *DAILY_SUMS)}
    keys = [both.c[name] for name in DAY_KEY]
    differs = or_(*(each != 0 for each in sums.values()))
    columns = [each.label(name) for name, each in sums.items()]
    return select(*keys, *columns).group_by(*keys).having(differs).order_by(*keys)

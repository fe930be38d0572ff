"""I3, I5, I7, I9, I10 and I11: each attempt at an upstream, from its reservation to its charge."""

from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, case, cast, func, literal, or_, select

from llm_backend.storage.checking.check import Check, json_number
from llm_backend.storage.checking.sums import IS_OPEN, ROLES
from llm_backend.storage.ledger_tables import DAILY_SUMS
from llm_backend.storage.moments import db_now
from llm_backend.storage.tables import api_key, idempotency_key, item, reservation, usage_record

LATE_SECONDS = 75
"""After its lease a reservation is open no longer than this: another lease, a sweep and a little."""

KEPT_DAYS = 6
"""Reservations are kept for seven: a charge that is older may have lost its own."""

held = reservation.c
charge = usage_record.alias("charge")
charged = charge.c
ITS_CHARGE = and_(charged.attempt_id == held.attempt_id, charged.kind == "charge")
TOKENS = charged.prompt_tokens + charged.completion_tokens


def checks() -> list[Check]:
    """Those of this module."""
    attempts = select(held.attempt_id, held.account_id, held.state)
    with_charge = attempts.join_from(reservation, charge, ITS_CHARGE)
    return [
        Check(
            "I3",
            "attempt {attempt_id} of account {account_id} is still {state}, long after its lease",
            attempts.where(IS_OPEN, held.lease_until < db_now(literal(-LATE_SECONDS))),
        ),
        *_ends(attempts, with_charge),
        *_amounts(with_charge),
        Check(
            "I9",
            "item {item_id} of account {account_id} came from attempt {attempt_id}, which has no charge",
            select(item.c.id.label("item_id"), item.c.account_id, item.c.attempt_id)
            .outerjoin_from(item, charge, and_(charged.attempt_id == item.c.attempt_id, charged.kind == "charge"))
            .where(item.c.attempt_id.is_not(None), charged.attempt_id.is_(None)),
        ),
        Check("I10", "request {request_id} of {holder} had an idempotency key and {charges} charges", _repeated()),
        Check(
            "I11",
            "attempt {attempt_id} of account {account_id} was reserved after its key {key_id} was revoked",
            select(held.attempt_id, held.account_id, held.key_id)
            .join_from(reservation, api_key, api_key.c.public_id == held.key_id)
            .where(held.created_at > api_key.c.revoked_at),
        ),
    ]


def _ends(attempts: Select[Any], with_charge: Select[Any]) -> list[Check]:
    """I5: how a reservation ended, beside what was charged for it."""
    costs = or_(TOKENS > 0, charged.cost_microusd > 0)
    return [
        Check(
            "I5",
            "attempt {attempt_id} of account {account_id} is settled without a charge",
            attempts.outerjoin_from(reservation, charge, ITS_CHARGE).where(
                held.state == "settled", charged.attempt_id.is_(None)
            ),
        ),
        Check(
            "I5",
            "attempt {attempt_id} of account {account_id} is voided, and charged",
            with_charge.where(held.state == "voided", costs),
        ),
        Check(
            "I5",
            "attempt {attempt_id} of account {account_id} is charged, and still {state}",
            with_charge.where(IS_OPEN),
        ),
        Check(
            "I5",
            "attempt {attempt_id} of account {account_id} is charged to another account, key or period than reserved",
            with_charge.where(or_(*(_differ(name) for name in ("account_id", "key_id", *ROLES)))),
        ),
        Check("I5", "attempt {attempt_id} of account {account_id} is charged without a reservation", _unreserved()),
        Check("I5", "attempt {attempt_id} of account {account_id} has an adjustment of no charge", _uncharged()),
    ]


def _amounts(with_charge: Select[Any]) -> list[Check]:
    """I7: what a charge came to, beside what it is based on."""
    is_void = and_(charged.basis == "void", or_(*(charged[name] != 0 for name in DAILY_SUMS)))
    exceeds = or_(held.reserved_tokens < TOKENS, charged.cost_microusd > held.reserved_microusd)
    return [
        Check(
            "I7",
            "{kind} of attempt {attempt_id} of account {account_id} is not what the upstream reported",
            _misreported(),
        ),
        Check(
            "I7",
            "attempt {attempt_id} of account {account_id} is charged more than was reserved, and does not say so",
            with_charge.where(held.state == "settled", exceeds, ~charged.overrun),
        ),
        Check(
            "I7",
            "attempt {attempt_id} of account {account_id} is charged less than was seen of it before a crash",
            with_charge.where(charged.basis == "crash", charged.completion_tokens < held.observed_completion_tokens),
        ),
        Check(
            "I7",
            "attempt {attempt_id} of account {account_id} used nothing, and is charged",
            select(charged.attempt_id, charged.account_id).where(is_void),
        ),
    ]


def _differ(name: str) -> ColumnElement[bool]:
    return charged[name].is_distinct_from(held[name])


def _unreserved() -> Select[Any]:
    """What was charged before the oldest reservation there is, or long ago, may have lost its own."""
    first = select(func.min(held.created_at)).scalar_subquery()
    return (
        select(charged.attempt_id, charged.account_id)
        .outerjoin_from(charge, reservation, held.attempt_id == charged.attempt_id)
        .where(
            charged.kind == "charge",
            held.attempt_id.is_(None),
            charged.started_at > first,
            charged.started_at > db_now(literal(-KEPT_DAYS * 86_400)),
        )
    )


def _uncharged() -> Select[Any]:
    late = usage_record.alias("late")
    of_it = and_(charged.attempt_id == late.c.attempt_id, charged.kind == "charge")
    found = select(late.c.attempt_id, late.c.account_id).outerjoin_from(late, charge, of_it)
    return found.where(late.c.kind == "adjustment", charged.attempt_id.is_(None))


def _misreported() -> Select[Any]:
    """Records by report that are not its numbers; an adjustment and its charge together are."""
    told = usage_record.alias("told")
    before = and_(told.c.kind == "adjustment", charged.attempt_id == told.c.attempt_id, charged.kind == "charge")
    prompt = func.coalesce(_number(told.c.raw_usage, "prompt_tokens"), _number(told.c.raw_usage, "input_tokens"))
    # Embeddings complete nothing, and their usage says nothing of it.
    output = (_number(told.c.raw_usage, name) for name in ("completion_tokens", "output_tokens"))
    said, thought = func.coalesce(*output, 0), _number(told.c.raw_usage, "total_tokens") - prompt
    # Some leave what was thought out of the completion, and have it in the total alone.
    completion = case((thought > said, thought), else_=said)
    seconds, heard = _number(told.c.raw_usage, "seconds"), told.c.seconds + func.coalesce(charged.seconds, 0)
    is_other = or_(
        told.c.raw_usage.is_(None),
        # A started one counts; of what is no sound, seconds tell something else.
        and_(heard != 0, or_(heard < seconds, heard >= seconds + 1)),
        prompt != told.c.prompt_tokens + func.coalesce(charged.prompt_tokens, 0),
        and_(prompt.is_not(None), completion != told.c.completion_tokens + func.coalesce(charged.completion_tokens, 0)),
    )
    found = select(told.c.attempt_id, told.c.kind, told.c.account_id).outerjoin_from(told, charge, before)
    return found.where(told.c.basis == "reported", is_other)


def _number(column: ColumnElement[Any], name: str) -> ColumnElement[Any]:
    return json_number(column, literal(name))


def _repeated() -> Select[Any]:
    """Requests that were promised to happen once, and cost more than once."""
    promise = idempotency_key.c
    holder = literal("account:") + cast(charged.account_id, String)
    of_it = and_(charged.request_id == promise.request_id, holder == promise.holder, charged.kind == "charge")
    charges = func.sum(case((or_(TOKENS > 0, charged.cost_microusd > 0), 1), else_=0))
    found = select(promise.request_id, promise.holder, charges.label("charges"))
    joined = found.join_from(idempotency_key, charge, of_it)
    return joined.group_by(promise.holder, promise.key_hash, promise.request_id).having(charges > 1)

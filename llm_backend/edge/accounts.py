"""Accounts, users and keys as JSON, in the shapes that clients of `/api` know."""

from dataclasses import asdict
from datetime import UTC, datetime

from llm_backend.domain.account_budgets import Standing
from llm_backend.domain.audit import Author
from llm_backend.domain.directory import Profile
from llm_backend.domain.key_terms import END_USER_RATES, RATES
from llm_backend.domain.keys import NewKey
from llm_backend.domain.leaks import Finding
from llm_backend.edge.call import Call
from llm_backend.errors import InvalidRequest, Json
from llm_backend.storage.accounts import Account
from llm_backend.storage.audit import AuditRecord
from llm_backend.storage.budgets import Period
from llm_backend.storage.keys import Key
from llm_backend.storage.users import User

MOMENT = "%Y-%m-%d %H:%M:%S"
"""In UTC."""


def author(call: Call) -> Author:
    """Whom the audit names for what this call changes."""
    return Author("admin", call.request_id)


def account(profile: Profile, api_key: str | None = None) -> Json:
    """An account; `api_key` is the text of its key where this answer may tell it, and masked without."""
    return account_of_user(profile) | {
        "users": [member(user) for user in profile.users],
        "api_key": api_key or _masked(profile),
    }


def account_of_user(profile: Profile) -> Json:
    """An account without its users."""
    found = profile.account
    return {
        "id": found.id,
        "created_at": _written(found.created_at),
        "updated_at": _written(found.updated_at),
        "name": found.name,
        "api_key": _masked(profile),
        "budget": found.each_token_limit,
        "course": found.course,
        "usage": found.used_tokens,
        "active": found.active,
        "budget_microusd": found.each_microusd_limit,
        "usage_microusd": found.used_microusd,
        "renewal": found.renewal,
        "carries_over": found.carries_over,
        "terms": found.terms,
        "time_zone": found.time_zone,
        "fits": found.fits,
        "stores": found.stores,
        "retention_days": found.retention_days,
        **_rates(found),
    }


def member(user: User) -> Json:
    """A user without its account."""
    return {
        "id": user.id,
        "created_at": _written(user.created_at),
        "updated_at": _written(user.updated_at),
        "name": user.name,
        "code": user.code,
        "account_id": user.account_id,
    }


def person(user: User, profile: Profile | None) -> Json:
    """A user with its account."""
    return member(user) | {"account": account_of_user(profile) if profile else None}


def new_key(made: NewKey) -> Json:
    """A key with its text."""
    return key(made.key) | {"api_key": made.text}


def key(found: Key) -> Json:
    """A key without its secret."""
    return {
        "id": found.public_id,
        "account_id": found.account_id,
        "name": found.name,
        "api_key": found.masked,
        "scopes": found.scopes,
        "models": found.models,
        **_rates(found),
        "trusted_frontend": found.trusted_frontend,
        "end_user_budget": found.end_user_token_limit,
        "end_user_budget_microusd": found.end_user_microusd_limit,
        "end_user_renewal": found.end_user_renewal,
        **{name: getattr(found, name) for name in END_USER_RATES},
        "created_at": _written(found.created_at),
        "expires_at": _written(found.expires_at),
        "last_used_on": found.last_used_on.isoformat() if found.last_used_on else None,
        "revoked_at": _written(found.revoked_at),
    }


def finding(found: Finding) -> Json:
    """What became of a key that was reported."""
    return {"id": found.key_id, "account_id": found.account_id, "status": found.status}


def budget(standing: Standing) -> Json:
    """A budget, with its current period."""
    found = standing.budget
    return {
        "subject": standing.subject,
        "budget": found.token_limit,
        "budget_microusd": found.microusd_limit,
        "renewal": found.renewal,
        "carries_over": found.carries_over,
        "terms": found.terms,
        "period": _period(standing.period) if standing.period else None,
    }


def change(record: AuditRecord) -> Json:
    """Who changed what."""
    return {**asdict(record), "at": _written(record.at)}


def _period(found: Period) -> Json:
    return {
        "starts_at": _written(found.starts_at),
        "ends_at": _written(found.ends_at),
        "budget": found.token_limit,
        "budget_microusd": found.microusd_limit,
        "usage": found.used_tokens,
        "usage_microusd": found.used_microusd,
        "reserved": found.reserved_tokens,
        "reserved_microusd": found.reserved_microusd,
    }


def _rates(found: Account | Key) -> Json:
    return {name: getattr(found, name) for name in RATES}


def moment(text: str, param: str) -> datetime:
    """The point in time that was written as `2026-03-01 12:00:00`. Raises InvalidRequest where it never comes."""
    try:
        return datetime.strptime(text, MOMENT).replace(tzinfo=UTC)
    except ValueError:
        raise InvalidRequest(f"'{param}' is no date and time.", param=param) from None


def _written(when: datetime | None) -> str | None:
    return when.astimezone(UTC).strftime(MOMENT) if when else None


def _masked(profile: Profile) -> str | None:
    return profile.key.masked if profile.key else None

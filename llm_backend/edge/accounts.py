"""Accounts, users and keys as JSON, in the shapes that clients of `/api` know."""

from datetime import UTC, datetime

from llm_backend.domain.audit import Author
from llm_backend.domain.directory import Profile
from llm_backend.domain.keys import NewKey
from llm_backend.edge.call import Call
from llm_backend.errors import InvalidRequest, Json
from llm_backend.storage.keys import Key
from llm_backend.storage.users import User

MOMENT = "%Y-%m-%d %H:%M:%S"
"""In UTC."""


def author(call: Call) -> Author:
    """Whom the audit names for what this call changes."""
    return Author("admin", call.request_id)


def account(profile: Profile, api_key: str | None = None) -> Json:
    """An account; `api_key` is the text of its key where this answer made it, and masked without."""
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
        "budget": found.token_limit,
        "course": found.course,
        "usage": found.used_tokens,
        "active": found.active,
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
        "created_at": _written(found.created_at),
        "expires_at": _written(found.expires_at),
        "last_used_on": found.last_used_on.isoformat() if found.last_used_on else None,
        "revoked_at": _written(found.revoked_at),
    }


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

"""What is said of accounts, keys and budgets, from JSON to terms."""

from typing import Any, cast

from llm_backend.domain.account_terms import Changes, Terms
from llm_backend.domain.batches import Row
from llm_backend.domain.budgets import RULES, Rules
from llm_backend.domain.key_terms import KeyChanges
from llm_backend.edge.accounts import moment
from llm_backend.errors import Json

COLUMNS = {
    "budget": "token_limit",
    "budget_microusd": "microusd_limit",
    "end_user_budget": "end_user_token_limit",
    "end_user_budget_microusd": "end_user_microusd_limit",
}
"""What is called otherwise on the wire."""


def changes(body: Json) -> Changes:
    """What is given of an account; users that are null are as if they were left out."""
    given = _columns(body)
    if given.get("users") is not None:
        given["users"] = [int(user) for user in given["users"]]
    else:
        given.pop("users", None)
    return cast("Changes", given)


def terms(body: Json) -> Terms:
    """As `changes`, without the name."""
    return cast("Terms", {name: value for name, value in changes(body).items() if name != "name"})


def row(body: Json) -> Row:
    """One account of many, whose users are told by their codes."""
    codes = [code_of(code) for code in body.get("users") or ()]
    rest = terms({name: value for name, value in body.items() if name != "users"})
    return Row(body["name"], rest, tuple(dict.fromkeys(codes)))


def rules(body: Json) -> Rules:
    """What is given of a budget."""
    return cast("Rules", {name: value for name, value in _columns(body).items() if name in RULES})


def key_changes(body: Json) -> KeyChanges:
    """What is given of a key."""
    given = _columns(body)
    if given.get("expires_at") is not None:
        given["expires_at"] = moment(given["expires_at"], "expires_at")
    return cast("KeyChanges", given)


def code_of(code: str | float) -> str:
    """A user's code: a number means the same as its digits."""
    return code if isinstance(code, str) else str(int(code))


def _columns(body: Json) -> dict[str, Any]:
    # 1e3 is a whole number too.
    return {COLUMNS.get(name, name): int(value) if isinstance(value, float) else value for name, value in body.items()}

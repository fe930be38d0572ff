"""What an account may be, and what is said of one that cannot be so."""

from typing import Any, cast

from llm_backend.domain.budgets import LIMITS, RULES, Rules
from llm_backend.domain.key_terms import RATES
from llm_backend.domain.names import checked, limited
from llm_backend.domain.periods import zone
from llm_backend.errors import InvalidRequest

LONGEST = 36_500
"""Of the days for which an account has something kept: a century."""


class Terms(Rules, total=False):
    """What an account is besides its name, with its budget; what is absent stays, and is nothing in a new one."""

    course: str | None
    time_zone: str
    fits: bool
    stores: bool
    retention_days: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    users: list[int]
    """All that it has from here on; those of other accounts move here."""


class Changes(Terms, total=False):
    """What of an account may be changed."""

    name: str


class NameTaken(InvalidRequest):
    """An active account has that name."""

    code = "account_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"Account with name {name} already exists", param="name")


class NoSuchAccount(InvalidRequest):
    """What should be changed, or referred to, is no active account."""

    code = "account_not_found"

    def __init__(self, account_id: int) -> None:
        super().__init__(f"Account with id {account_id} does not exist", param="account_id")


class NoSuchUser(InvalidRequest):
    """An account should have a user that does not exist."""

    code = "user_not_found"

    def __init__(self, user_id: int) -> None:
        super().__init__(f"User with id {user_id} does not exist", param="users")


def checked_name(name: str) -> str:
    """`name`, where an account may have it. Raises InvalidRequest."""
    return checked(name, "An account's name")


def check(terms: Rules) -> None:
    """Raises InvalidRequest for what no account may be; how a budget's rules fit together is told where it is made."""
    values = cast("dict[str, Any]", terms)
    if values.get("course") is not None:
        checked(values["course"], "A course", "course", least=0)
    if "time_zone" in values:
        zone(values["time_zone"])
    limited(values.get("retention_days"), "retention_days", most=LONGEST)
    for name in LIMITS:
        limited(values.get(name), name)
    for name in RATES:
        limited(values.get(name), name, least=1)


def rules(terms: Terms | Changes) -> Rules:
    """What of `terms` is the budget's."""
    return cast("Rules", {name: value for name, value in terms.items() if name in RULES})


def own(terms: Terms | Changes) -> dict[str, Any]:
    """What of `terms` is the account's own."""
    return {name: value for name, value in terms.items() if name not in RULES and name != "users"}

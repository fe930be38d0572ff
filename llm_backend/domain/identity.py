"""Who is asking."""

from dataclasses import dataclass

EVERY_SCOPE = frozenset({"inference", "models"})
"""The scopes a key has unless it was made with fewer; `spec/policy.yaml` names the one each operation needs."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The account and key that a request was authenticated as."""

    account_id: int
    account_name: str
    key_id: str | None
    """The key's public id, safe to log; None in open mode, where there is no key."""
    scopes: frozenset[str] = EVERY_SCOPE

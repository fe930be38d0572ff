"""What a key may do."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypedDict

from llm_backend.domain.identity import EVERY_SCOPE
from llm_backend.domain.names import checked, limited
from llm_backend.errors import InvalidRequest
from llm_backend.model_ids import RULE, is_model_id
from llm_backend.storage.budgets import Renewal

RATES = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")
"""Of a key and of an account alike."""

END_USER_RATES = tuple(f"end_user_{name}" for name in RATES)
"""Of each of those for whom a trusted frontend asks, as the next two."""

END_USER_LIMITS = ("end_user_token_limit", "end_user_microusd_limit")

END_USER_RENEWALS = ("never", "day", "week", "month")

MOST_MODELS = 1000


class KeyTerms(TypedDict, total=False):
    """What a key may do; what is absent stays, and is without bounds in a new one."""

    scopes: Iterable[str]
    models: Iterable[str] | None
    expires_at: datetime | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None
    trusted_frontend: bool
    end_user_token_limit: int | None
    end_user_microusd_limit: int | None
    end_user_renewal: Renewal
    end_user_requests_per_minute: int | None
    end_user_tokens_per_minute: int | None
    end_user_concurrent_requests: int | None


class KeyChanges(KeyTerms, total=False):
    """What of a key may be changed."""

    name: str


def columns(changes: KeyChanges) -> dict[str, Any]:
    """`changes` as they are kept. Raises InvalidRequest for what no key may be."""
    values: dict[str, Any] = dict(changes)
    if "name" in changes:
        checked(changes["name"], "A key's name", least=0)
    if "scopes" in changes:
        values["scopes"] = sorted(set(changes["scopes"]))
        if not EVERY_SCOPE.issuperset(values["scopes"]):
            raise InvalidRequest("A scope is unknown.", param="scopes")
    if changes.get("models") is not None:
        values["models"] = _models(changes["models"] or ())
    for name in (*RATES, *END_USER_RATES):
        limited(values.get(name), name, least=1)
    for name in END_USER_LIMITS:
        limited(values.get(name), name)
    if values.get("end_user_renewal", "never") not in END_USER_RENEWALS:
        message = f"The budget of an end user renews {', '.join(END_USER_RENEWALS)}."
        raise InvalidRequest(message, param="end_user_renewal")
    return values


def _models(names: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(names))
    if not 0 < len(found) <= MOST_MODELS:
        raise InvalidRequest(f"The models are 1 to {MOST_MODELS} ids, or null for all.", param="models")
    if not all(map(is_model_id, found)):
        raise InvalidRequest(RULE, param="models")
    return found

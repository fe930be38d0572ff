"""What a key may do."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypedDict

from llm_backend.domain.identity import EVERY_SCOPE
from llm_backend.domain.names import checked, limited
from llm_backend.errors import InvalidRequest
from llm_backend.model_ids import RULE, is_model_id

RATES = ("requests_per_minute", "tokens_per_minute", "concurrent_requests")
"""Of a key and of an account alike."""

MOST_MODELS = 1000


class KeyTerms(TypedDict, total=False):
    """What a key may do; what is absent stays, and is without bounds in a new one."""

    scopes: Iterable[str]
    models: Iterable[str] | None
    expires_at: datetime | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent_requests: int | None


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
    for name in RATES:
        limited(values.get(name), name, least=1)
    return values


def _models(names: Iterable[str]) -> list[str]:
    found = list(dict.fromkeys(names))
    if not 0 < len(found) <= MOST_MODELS:
        raise InvalidRequest(f"The models are 1 to {MOST_MODELS} ids, or null for all.", param="models")
    if not all(map(is_model_id, found)):
        raise InvalidRequest(RULE, param="models")
    return found

"""Who is asking."""

from dataclasses import dataclass

from llm_backend.domain.allowances import NONE, Allowance
from llm_backend.domain.end_users import EndUser, EndUserTerms
from llm_backend.errors import InvalidRequest

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
    models: frozenset[str] | None = None
    """The ids of models that it may name; None for all."""
    limits_of_key: Allowance = NONE
    limits_of_account: Allowance = NONE
    end_users: EndUserTerms | None = None
    """What each of those may use for whom it asks; None where it is not trusted to say who they are."""
    end_user: EndUser | None = None
    """For whom this request is, where it is trusted to say."""
    fits: bool = False
    """Whether an output limit that a request names may be lowered to what is left."""
    stores: bool = True
    """Whether what models answer may be kept for the account."""

    def allows(self, model: str) -> bool:
        """Whether it may name that model. An alias is a name of its own: it is allowed by itself, or not."""
        return self.models is None or model in self.models

    def check_stores(self, param: str | None) -> None:
        """Raises InvalidRequest, naming the field that asks for it, where nothing may be kept for the account."""
        if not self.stores:
            raise InvalidRequest("Nothing is stored for this account.", param=param, code="unsupported_value")

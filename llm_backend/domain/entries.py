"""What is entered into the ledger, and what comes of it."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.end_users import EndUser
from llm_backend.domain.granting import Ask, Grant
from llm_backend.storage.driver import Plan
from llm_backend.storage.ledger_rows import Sums
from llm_backend.storage.usage import UsageRecord

Also = Callable[[AsyncSession], Awaitable[None]]
"""Writes in the transaction that settles an attempt."""


class Beside(NamedTuple):
    """What is written in that transaction besides the charge."""

    also: Also | None = None
    plan: Callable[[], Plan[None]] | None = None
    """The same as steps, which cost a fraction: what is kept of most requests."""


NOTHING_BESIDE = Beside()


class Reserve(NamedTuple):
    """Hold back what an attempt may cost, before it is sent."""

    attempt_id: str
    account_id: int
    key_id: str | None
    model: str
    """For the budget of a model."""
    ask: Ask
    observed_prompt_tokens: int
    """What the prompt is likely to have: charged where the process dies."""
    details: bytes
    """The usage record to be, as JSON."""
    end_user: EndUser | None = None
    """For whom it is, where a trusted frontend says so."""


class Settle(NamedTuple):
    """Charge an attempt, once, and let go of what was held back for it. Of no basis but `void` it costs."""

    record: UsageRecord
    beside: Beside = NOTHING_BESIDE


class Void(NamedTuple):
    """Let go of what was held back for an attempt that was never made."""

    attempt_id: str
    account_id: int


Entry = Reserve | Settle | Void


def attempt_of(entry: Entry) -> str:
    """The attempt that an entry is of."""
    return entry.record.attempt_id if isinstance(entry, Settle) else entry.attempt_id


def account_of(entry: Entry) -> int:
    """The account that an entry is of."""
    return entry.record.account_id if isinstance(entry, Settle) else entry.account_id


class Amount(NamedTuple):
    """How one currency of a budget stands."""

    limit: int
    used: int
    remaining: int
    """Less what running requests hold back."""
    is_near: bool
    """Whether the soft limit is passed."""

    @classmethod
    def of(cls, limit: int | None, used: int, reserved: int, soft_percent: int) -> "Amount | None":
        """None where there is no limit."""
        if limit is None:
            return None
        return cls(limit, used, max(0, limit - used - reserved), used * 100 >= limit * soft_percent)


class Balance(NamedTuple):
    """How an account's whole budget stands."""

    tokens: Amount | None
    microusd: Amount | None

    @classmethod
    def of(cls, sums: Sums, soft_percent: int) -> "Balance":
        return cls(
            Amount.of(sums.token_limit, sums.used_tokens, sums.reserved_tokens, soft_percent),
            Amount.of(sums.microusd_limit, sums.used_microusd, sums.reserved_microusd, soft_percent),
        )


class Granted(NamedTuple):
    """A reservation that is committed."""

    grant: Grant
    balance: Balance


class Done(NamedTuple):
    """A settlement that is committed, now or before; `balance` where it moved anything."""

    balance: Balance | None = None


class PeriodMissing(Exception):
    """A budget of the account has no row for the period that is now: it has to be opened first."""


Outcome = Granted | Done | Exception

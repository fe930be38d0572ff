"""End users: those for whom a trusted frontend asks, each with a budget and limits of its own."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import budgets
from llm_backend.domain.allowances import NONE, Allowance
from llm_backend.domain.budgets import Rules
from llm_backend.errors import InvalidRequest, TooManyEndUsers
from llm_backend.storage import budgets as stored
from llm_backend.storage.accounts import Account
from llm_backend.storage.budgets import END_USER, Renewal

ID_LIMIT = 256
"""In characters."""

MOST_OF_ACCOUNT = 100_000
"""End users with a budget: whoever has the frontend's key could make them up without end."""


@dataclass(frozen=True, slots=True)
class EndUserTerms:
    """What each end user of a key may use, in addition to the limits of the key and its account."""

    token_limit: int | None = None
    microusd_limit: int | None = None
    renewal: Renewal = "never"
    limits: Allowance = NONE

    @property
    def is_budgeted(self) -> bool:
        """Whether each of them has a budget from the first request on."""
        return self.token_limit is not None or self.microusd_limit is not None

    @property
    def rules(self) -> Rules:
        return Rules(token_limit=self.token_limit, microusd_limit=self.microusd_limit, renewal=self.renewal)


@dataclass(frozen=True, slots=True)
class EndUser:
    """One of them, on the terms of the key that asks."""

    id: str
    terms: EndUserTerms

    @property
    def subject(self) -> str:
        """Of the budget."""
        return END_USER + self.id


def checked_id(name: str, param: str) -> str:
    """`name`, where an end user can be called so. Raises InvalidRequest."""
    if not 0 < len(name) <= ID_LIMIT or not name.isprintable():
        raise InvalidRequest(f"An end user's id is 1 to {ID_LIMIT} printable characters.", param=param)
    return name


async def open_current(session: AsyncSession, account: Account, user: EndUser, now: datetime) -> None:
    """Begin the end user's budget, where this is the first time, and its period that is now.

    The account has to be locked: of two first requests one begins it. Raises TooManyEndUsers.
    """
    known = await stored.find(session, account.id, user.subject)
    if known is not None:
        await budgets.open_current(session, account.time_zone, known, now)
    elif user.terms.is_budgeted:
        if await stored.count_end_users(session, account.id) >= MOST_OF_ACCOUNT:
            raise TooManyEndUsers
        await budgets.begin(session, account, user.terms.rules, now, user.subject)

"""The budgets of an account: that of all of it, and those of its keys, its end users and of models within it."""

from dataclasses import dataclass
from typing import Unpack

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import budgets
from llm_backend.domain.account_terms import NoSuchAccount, check
from llm_backend.domain.audit import SERVER, Author
from llm_backend.domain.budgets import Rules
from llm_backend.domain.clock import Clock
from llm_backend.domain.end_users import checked_id
from llm_backend.domain.key_changes import owned
from llm_backend.domain.key_text import PUBLIC_ID
from llm_backend.errors import InvalidRequest, NotFound
from llm_backend.model_ids import is_model_id
from llm_backend.storage import accounts, standings
from llm_backend.storage import budgets as stored
from llm_backend.storage.accounts import WHOLE, Account
from llm_backend.storage.budgets import END_USER, Budget, Period
from llm_backend.storage.database import Database
from llm_backend.storage.standings import Which

ACCOUNT = "account"
"""What the budget of all of an account is called; in the database it has no name."""

UNLIMITED = Rules(token_limit=None, microusd_limit=None, renewal="never", carries_over=False, terms=None)


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget, and how things stand in its current period."""

    subject: str
    """`account`, `key:<public id>`, `model:<id>` or `user:<id>`."""
    budget: Budget
    period: Period | None
    """None where nothing was asked in it yet."""


class AccountBudgets:
    """Those of one database's accounts. A key's or a model's is there as long as it has a limit."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def of_account(self, account_id: int) -> list[Standing]:
        """Its budgets but those of end users, that of all of it first.

        Raises NotFound where there never was such an account.
        """
        return await self._database.detached(self._of_account(account_id))

    async def of_end_users(self, account_id: int, after: str, limit: int) -> list[Standing]:
        """Those of its end users, by id: the first `limit` of those behind the id `after`. Raises NotFound."""
        return await self._database.detached(self._of_account(account_id, after=END_USER + after, limit=limit))

    async def of(self, account_id: int, subject: str) -> Standing:
        """One of them. Raises NotFound."""
        for standing in await self._database.detached(self._of_account(account_id, subjects=(_kept(subject),))):
            return standing
        raise _no_budget(subject)

    async def of_key(self, account_id: int, key_id: str | None) -> list[Standing]:
        """Those that bound a key, that of all of its account first, limited or not."""
        return await self._database.detached(self._of_key(account_id, key_id))

    async def put(self, account_id: int, subject: str, changes: Rules, by: Author = SERVER) -> Standing:
        """It, made, or with what is given of it changed.

        Raises NoSuchAccount where the account is none or closed, NotFound for the key of another, and InvalidRequest.
        """
        check(changes)
        await self._database.detached(self._put(account_id, subject, changes, by))
        return await self.of(account_id, subject)

    async def remove(self, account_id: int, subject: str, by: Author = SERVER) -> Standing:
        """It, with its limits lifted; its sums stay. Raises as `put`, and NotFound where there is none."""
        return await self._database.detached(self._remove(account_id, subject, by))

    async def _of_account(self, account_id: int, **which: Unpack[Which]) -> list[Standing]:
        async with self._database.reading() as session:
            if await accounts.find(session, account_id) is None:
                raise NotFound(f"Account with id {account_id} does not exist", param="account_id")
            return [
                Standing(budget.subject or ACCOUNT, budget, current)
                for budget, current in await standings.of_account(session, account_id, **which)
                if budget.subject == WHOLE or _is_limited(budget)
            ]

    async def _of_key(self, account_id: int, key_id: str | None) -> list[Standing]:
        async with self._database.reading() as session:
            found = await standings.of_account(session, account_id, subjects=(WHOLE, f"key:{key_id}"))
        return [Standing(budget.subject or ACCOUNT, budget, current) for budget, current in found]

    async def _put(self, account_id: int, subject: str, changes: Rules, by: Author) -> None:
        async with self._database.begin() as session:
            account = await self._locked(session, account_id)
            known = await stored.find(session, account_id, _kept(subject))
            now = self._clock.now()
            if known is None:
                await _check_subject(session, account_id, subject)
                await budgets.begin(session, account, changes, now, subject)
                changed = set(changes)
            else:
                changed = await budgets.change(session, known, changes, now)
            after = await stored.find(session, account_id, _kept(subject))
            if after is None or not (subject == ACCOUNT or _is_limited(after)):
                raise InvalidRequest(
                    "The budget of a key, a model or an end user has a limit; to lift it, delete it.", param="budget"
                )
            if changed:
                await by.note(session, now, "update", ("budget", f"{account_id}/{subject}"), changed)

    async def _remove(self, account_id: int, subject: str, by: Author) -> Standing:
        async with self._database.begin() as session:
            await self._locked(session, account_id)
            known = await stored.find(session, account_id, _kept(subject))
            if known is None or not (subject == ACCOUNT or _is_limited(known)):
                raise _no_budget(subject)
            now = self._clock.now()
            if changed := await budgets.change(session, known, UNLIMITED, now):
                await by.note(session, now, "remove", ("budget", f"{account_id}/{subject}"), changed)
            [(budget, period)] = await standings.of_account(session, account_id, subjects=(known.subject,))
            return Standing(subject, budget, period)

    @staticmethod
    async def _locked(session: AsyncSession, account_id: int) -> Account:
        account = await accounts.lock(session, account_id)
        if account is None or not account.active:
            raise NoSuchAccount(account_id)
        return account


def _is_limited(budget: Budget) -> bool:
    return budget.token_limit is not None or budget.microusd_limit is not None


def _kept(subject: str) -> str:
    return WHOLE if subject == ACCOUNT else subject


async def _check_subject(session: AsyncSession, account_id: int, subject: str) -> None:
    """Raises NotFound where it is no key of the account, InvalidRequest where it is nothing that has a budget."""
    kind, _, name = subject.partition(":")
    if kind == "key" and PUBLIC_ID.fullmatch(name):
        await owned(session, name, account_id)
    elif kind == "user":
        checked_id(name, "subject")
    elif kind != "model" or not is_model_id(name):
        raise InvalidRequest("A budget is of the account, of key:ID, of model:ID or of user:ID.", param="subject")


def _no_budget(subject: str) -> NotFound:
    return NotFound(f"There is no budget of {subject}", param="subject")

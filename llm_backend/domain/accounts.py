"""Accounts: who pays, and whose things are kept apart."""

import re
from collections.abc import Coroutine
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar, Unpack

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain import budgets
from llm_backend.domain.account_terms import (
    Changes,
    NameTaken,
    NoSuchAccount,
    NoSuchUser,
    Terms,
    check,
    checked_name,
    own,
    rules,
)
from llm_backend.domain.audit import SERVER, Author
from llm_backend.domain.budgets import Rules
from llm_backend.domain.clock import Clock
from llm_backend.domain.keys import Keys, NewKey
from llm_backend.errors import NotFound
from llm_backend.storage import accounts, users
from llm_backend.storage import budgets as stored_budgets
from llm_backend.storage.accounts import Account
from llm_backend.storage.database import Database

__all__ = ["Accounts", "Changes", "NoSuchAccount", "Terms"]

T = TypeVar("T")

NUMBER = re.compile(r"[0-9]{1,18}")


class Accounts:
    """The accounts of one database."""

    def __init__(self, database: Database, clock: Clock, *, default_tokens: int | None = None) -> None:
        """`default_tokens`: the limit of a new account of which none is said; None for no limit."""
        self._database = database
        self._clock = clock
        self._default_tokens = default_tokens

    async def create(self, name: str, by: Author = SERVER) -> Account:
        """A new account. Raises NameTaken where an active one has that name, InvalidRequest where it is no name."""
        return await self._claiming(name, self._create(checked_name(name), by))

    async def create_with_key(
        self, name: str, keys: Keys, by: Author = SERVER, **terms: Unpack[Terms]
    ) -> tuple[Account, NewKey]:
        """As `create`, with its first key and its users: all, or nothing. Raises NoSuchUser too."""
        check(terms)
        return await self._claiming(name, self._create_with_key(checked_name(name), keys, by, terms))

    async def ensure(self, name: str) -> Account:
        """The active account of that name, made where it is missing."""
        while True:
            found = await self._database.detached(self._find_active(checked_name(name)))
            if found is not None:
                return found
            # Where another process is first, its account is found the next time round.
            with suppress(NameTaken):
                return await self.create(name)

    async def find(self, reference: str) -> Account:
        """The active account of that name, else the account of that number. Raises NotFound."""
        # What is not printable is nobody's name, and some of it PostgreSQL does not even take as a question.
        found = await self._database.detached(self._find(reference)) if reference.isprintable() else None
        if found is None:
            raise NotFound("There is no such account.", param="account")
        return found

    async def every(self) -> list[Account]:
        """All accounts, closed ones too, by name."""
        return await self._database.detached(self._every())

    async def update(self, account_id: int, changes: Changes, by: Author = SERVER) -> None:
        """Change an active account. Raises NoSuchAccount, NameTaken, NoSuchUser, InvalidRequest."""
        name = changes.get("name")
        if name is not None:
            checked_name(name)
        check(changes)
        await self._claiming(name or "", self._update(account_id, changes, by))

    async def close(self, account_id: int, by: Author = SERVER) -> None:
        """Refuse the account's keys from now on and free its name; once is enough. Its records stay.

        Raises NoSuchAccount where there never was one.
        """
        await self._database.detached(self._close(account_id, by))

    async def _claiming(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        # The unique index decides, not a look beforehand: of two that race for a name, one gets it.
        try:
            return await self._database.detached(work)
        except IntegrityError as error:
            raise NameTaken(name) from error

    async def _create(self, name: str, by: Author) -> Account:
        async with self._database.begin() as session:
            return await self._add(session, name, by, {})

    async def _create_with_key(self, name: str, keys: Keys, by: Author, terms: Terms) -> tuple[Account, NewKey]:
        async with self._database.begin() as session:
            return await self.open(session, name, keys, by, terms)

    async def open(
        self, session: AsyncSession, name: str, keys: Keys, by: Author, terms: Terms
    ) -> tuple[Account, NewKey]:
        """As `create_with_key`, of what was checked before, in the transaction of whoever opens several."""
        with_limit: Terms = {"token_limit": self._default_tokens, **terms}
        account = await self._add(session, name, by, with_limit if self._default_tokens is not None else terms)
        if "users" in terms:
            await self._assign(session, account.id, set(terms["users"]))
        return account, await keys.issue(session, account.id, by)

    async def _add(self, session: AsyncSession, name: str, by: Author, terms: Terms) -> Account:
        now = self._clock.now()
        account = await accounts.add(session, name, now, own(terms))
        await budgets.begin(session, account, rules(terms), now)
        await by.note(session, now, "create", ("account", account.id), {"name", *terms})
        return await accounts.find(session, account.id) or account

    async def _update(self, account_id: int, changes: Changes, by: Author) -> None:
        async with self._database.begin() as session:
            before = await accounts.lock(session, account_id)
            if before is None or not before.active:
                raise NoSuchAccount(account_id)
            now = self._clock.now()
            values = {name: value for name, value in own(changes).items() if value != getattr(before, name)}
            changed = set(values) | await self._change_budget(session, before, rules(changes), now)
            if "users" in changes and await self._assign(session, account_id, set(changes["users"])):
                changed.add("users")
            if changed:
                await accounts.change(session, account_id, values, now)
                await by.note(session, now, "update", ("account", account_id), changed)

    async def _change_budget(self, session: AsyncSession, account: Account, rules: Rules, now: datetime) -> set[str]:
        whole = await stored_budgets.find(session, account.id)
        if whole is None:
            raise AssertionError("Every account has a budget.")
        return await budgets.change(session, whole, rules, now)

    async def _assign(self, session: AsyncSession, account_id: int, wanted: set[int]) -> bool:
        """Whether it changed anything that these, and no others, are the account's users."""
        known = await users.lock(session, account_id, wanted)
        for missing in sorted(wanted - {user.id for user in known}):
            raise NoSuchUser(missing)
        had = {user.id for user in known if user.account_id == account_id}
        now = self._clock.now()
        for moved, owner in ((wanted - had, account_id), (had - wanted, None)):
            if moved:
                await users.move(session, moved, owner, now)
        return wanted != had

    async def _find_active(self, name: str) -> Account | None:
        async with self._database.reading() as session:
            return await accounts.find_active(session, name)

    async def _find(self, reference: str) -> Account | None:
        async with self._database.reading() as session:
            found = await accounts.find_active(session, reference)
            if found is None and NUMBER.fullmatch(reference):
                return await accounts.find(session, int(reference))
            return found

    async def _every(self) -> list[Account]:
        async with self._database.reading() as session:
            return await accounts.every(session)

    async def _close(self, account_id: int, by: Author) -> None:
        async with self._database.begin() as session:
            if await accounts.lock(session, account_id) is None:
                raise NoSuchAccount(account_id)
            # A reservation looks at its account with these rows in hand: none is made after the account is closed.
            await accounts.lock_periods(session, account_id)
            if await accounts.close(session, account_id):
                await by.note(session, self._clock.now(), "close", ("account", account_id), ["active"])

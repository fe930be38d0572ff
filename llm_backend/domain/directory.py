"""Accounts with their users and keys, as those who administer them look at them."""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.clock import Clock
from llm_backend.errors import NotFound
from llm_backend.storage import accounts, audit, keys, users
from llm_backend.storage.accounts import Account
from llm_backend.storage.audit import AuditRecord
from llm_backend.storage.database import Database
from llm_backend.storage.keys import Key
from llm_backend.storage.users import User


@dataclass(frozen=True, slots=True)
class Profile:
    """An account, and what belongs to it."""

    account: Account
    users: list[User]
    key: Key | None
    """Its oldest that is in use; None where none is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which accounts are looked for."""

    active: bool = True
    name: str = ""
    """Within the account's name, whatever its case."""
    used_above: int | None = None
    """In tokens; strictly."""

    def includes(self, account: Account) -> bool:
        # Here and not in SQL: SQLite knows the case of ASCII only, and NUL is no text of PostgreSQL's.
        return (
            account.active == self.active
            and (self.used_above is None or account.used_tokens > self.used_above)
            and self.name.casefold() in account.name.casefold()
        )


class Directory:
    """Reads; changes nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def search(self, wanted: Wanted) -> list[Profile]:
        """The accounts that are wanted, by name."""
        found = [each for each in await self._database.detached(self._every()) if wanted.includes(each.account)]
        # In the order of code points on every database, whatever its collation.
        return sorted(found, key=lambda profile: (profile.account.name, profile.account.id))

    async def of(self, account_id: int) -> Profile:
        """One account, closed or not. Raises NotFound."""
        profile = await self._database.detached(self._of(account_id))
        if profile is None:
            raise NotFound(f"Account with id {account_id} does not exist", param="account_id")
        return profile

    async def of_many(self, account_ids: list[int]) -> list[Profile]:
        """Those of the accounts that exist, in that order."""
        return await self._database.detached(self._of_many(account_ids))

    async def people(self) -> list[tuple[User, Profile | None]]:
        """All users by code, each with the account that it has."""
        everyone, profiles = await self._database.detached(self._people())
        by_id = {profile.account.id: profile for profile in profiles}
        ordered = sorted(everyone, key=lambda user: user.code)
        return [(user, by_id[user.account_id] if user.account_id is not None else None) for user in ordered]

    async def chats(self, account_id: int) -> int:
        """How many chats the account has; none where it is no account."""
        return await self._database.detached(self._chats(account_id))

    async def changes(
        self, limit: int, target_kind: str | None = None, target_id: str | None = None
    ) -> list[AuditRecord]:
        """What was changed by whom, the newest first, of one kind of thing or of one thing where they are given."""
        return await self._database.detached(self._changes(limit, target_kind, target_id))

    async def _chats(self, account_id: int) -> int:
        async with self._database.reading() as session:
            return await accounts.count_chats(session, account_id)

    async def _changes(self, limit: int, target_kind: str | None, target_id: str | None) -> list[AuditRecord]:
        async with self._database.reading() as session:
            return await audit.newest(session, limit, target_kind, target_id)

    async def _every(self) -> list[Profile]:
        async with self._database.reading() as session:
            # The accounts last: nobody is of an account that was not there yet.
            everyone, first = await users.every(session), await keys.first_in_use(session, self._clock.now())
            found = await accounts.every(session)
        members = defaultdict(list)
        for user in everyone:
            members[user.account_id].append(user)
        return [Profile(account, members[account.id], first.get(account.id)) for account in found]

    async def _of(self, account_id: int) -> Profile | None:
        for profile in await self._of_many([account_id]):
            return profile
        return None

    async def _of_many(self, account_ids: list[int]) -> list[Profile]:
        async with self._database.reading() as session:
            found = [await accounts.find(session, account_id) for account_id in account_ids]
            return [await self._profile(session, account) for account in found if account is not None]

    async def _profile(self, session: AsyncSession, account: Account) -> Profile:
        key = await keys.oldest_in_use(session, account.id, self._clock.now())
        return Profile(account, await users.of_account(session, account.id), key)

    async def _people(self) -> tuple[list[User], list[Profile]]:
        async with self._database.reading() as session:
            everyone = await users.every(session)
        return everyone, await self._every()

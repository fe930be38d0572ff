"""Erasure: all of one user's or account's data goes, and the books stay without the person.

What was used is still known by account, key id, model and day, and no sum changes. Who it was for is not.
"""

from dataclasses import dataclass

import orjson
from sqlalchemy import Table

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.audit import SERVER, Author
from llm_backend.domain.clock import Clock
from llm_backend.errors import Conflict, NotFound
from llm_backend.storage import accounts as stored
from llm_backend.storage import erasure
from llm_backend.storage.database import Database
from llm_backend.storage.erasure import Named
from llm_backend.storage.users import User

RETRY_SECONDS = 20
"""By then the running requests of a closed account have ended."""


class StillRunning(Conflict):
    """A request runs that would be recorded under what is to be erased."""

    code = "requests_running"


@dataclass(frozen=True, slots=True)
class Erased:
    """What went: how many of each."""

    conversations: int = 0
    """Chats, and what else was said in turns."""
    items: int = 0
    responses: int = 0
    keys: int = 0
    users: int = 0
    results: int = 0
    """Of requests with an idempotency key."""
    objects: int = 0
    """Known to be the account's at upstreams: there they stay."""
    events: int = 0
    """That a webhook was or was to be told of."""
    names: int = 0
    """Usage records that said for whom the request was."""
    end_users: int = 0
    """Budgets that bore an end user's id."""


class Erasure:
    """Erases from one database; what it did is in the audit, by kinds and numbers."""

    def __init__(self, database: Database, accounts: Accounts, clock: Clock) -> None:
        self._database = database
        self._accounts = accounts
        self._clock = clock

    async def account(self, account_id: int, by: Author = SERVER) -> Erased:
        """All of an account's data. It is closed first, and stays closed whatever comes of the rest.

        Raises NotFound, and StillRunning while its last requests run. Again changes nothing that was erased.
        """
        await self._database.detached(self._refuse_no_account(account_id))
        await self._accounts.close(account_id, by)
        return await self._database.detached(self._account(account_id, by))

    async def user(self, user_id: int, by: Author = SERVER) -> Erased:
        """All of a user's data: the user, and the user's code wherever a request was said to be for it.

        Raises NotFound, and StillRunning while such a request runs.
        """
        return await self._database.detached(self._user(user_id, by))

    async def known(self, code: str) -> User:
        """The user of that code. Raises NotFound."""
        found = await self._database.detached(self._find("code", code))
        if found is None:
            raise NotFound(f"User with code {code} does not exist", param="user")
        return found

    async def _refuse_no_account(self, account_id: int) -> None:
        async with self._database.reading() as session:
            if await stored.find(session, account_id) is None:
                raise NotFound(f"Account with id {account_id} does not exist", param="account_id")

    async def _account(self, account_id: int, by: Author) -> Erased:
        await self._refuse_running(account_id)
        _, responses, items, conversations = [await self._delete(table, account_id) for table in erasure.STATE]
        named = Named(account_id)
        async with self._database.begin() as session:
            await erasure.hold_books(session, named)
            gone = await erasure.delete_belongings(session, account_id)
            names = await erasure.blank_names(session, named)
            end_users = await erasure.blank_end_users(session, named)
            now = self._clock.now()
            await erasure.blank_account(session, account_id, f"erased-{account_id}", now)
            done = Erased(conversations, items, responses, names=names, end_users=end_users, **gone)
            await by.note(session, now, "erase", ("account", account_id), _kinds(done))
        return done

    async def _refuse_running(self, account_id: int) -> None:
        async with self._database.begin() as session:
            # Whoever reserves holds the same rows: after this it is there to be seen, or sees the account closed.
            await erasure.hold_books(session, Named(account_id))
            if await erasure.open_details(session, account_id):
                raise StillRunning(
                    f"Account with id {account_id} is closed, and its last requests still run: "
                    "ask again in a moment, by this id.",
                    param="account_id",
                    retry_after_seconds=RETRY_SECONDS,
                )

    async def _delete(self, table: Table, account_id: int) -> int:
        """Delete all of it, some at a time, so that nobody waits for long; how many."""
        count = 0
        while True:
            async with self._database.begin() as session:
                gone = await erasure.delete_some(session, table, account_id)
            count += gone
            if gone == 0:
                return count

    async def _user(self, user_id: int, by: Author) -> Erased:
        async with self._database.begin() as session:
            user = await erasure.find_user(session, "id", user_id)
            if user is None:
                raise NotFound(f"User with id {user_id} does not exist", param="user_id")
            named = Named(end_user=user.code)
            await erasure.hold_books(session, named)
            if any(_end_user(details) == user.code for details in await erasure.open_details(session)):
                raise StillRunning(
                    f"A request for user {user.code} still runs: ask again in a moment.",
                    param="user_id",
                    retry_after_seconds=RETRY_SECONDS,
                )
            names, end_users = await erasure.blank_names(session, named), await erasure.blank_end_users(session, named)
            done = Erased(users=1, names=names, end_users=end_users)
            await erasure.delete_user(session, user_id)
            await by.note(session, self._clock.now(), "erase", ("user", user_id), _kinds(done))
        return done

    async def _find(self, column: str, value: str) -> User | None:
        async with self._database.reading() as session:
            return await erasure.find_user(session, column, value)


def _kinds(done: Erased) -> list[str]:
    return [name for name in Erased.__dataclass_fields__ if getattr(done, name)]


def _end_user(details: bytes) -> str | None:
    """Whom the usage record to be is for."""
    named: str | None = orjson.loads(details).get("end_user")
    return named

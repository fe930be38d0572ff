"""Users: the people whom accounts are for."""

from sqlalchemy.exc import IntegrityError

from llm_backend.domain.accounts import NoSuchAccount
from llm_backend.domain.audit import SERVER, Author
from llm_backend.domain.clock import Clock
from llm_backend.domain.names import checked
from llm_backend.errors import InvalidRequest
from llm_backend.storage import accounts, users
from llm_backend.storage.database import Database
from llm_backend.storage.users import User


class CodeTaken(InvalidRequest):
    """A user has that code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"User with code {code} already exists", param="code", code="user_exists")


class Users:
    """The users of one database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(
        self, code: str, name: str | None = None, account_id: int | None = None, by: Author = SERVER
    ) -> User:
        """A new user. Raises CodeTaken, NoSuchAccount where the account is none or closed, and InvalidRequest."""
        checked(code, "A user's code", "code")
        if name is not None:
            checked(name, "A user's name", least=0)
        # The unique index decides: of two that race for a code, one gets it.
        try:
            return await self._database.detached(self._create(code, name, account_id, by))
        except IntegrityError as error:
            raise CodeTaken(code) from error

    async def _create(self, code: str, name: str | None, account_id: int | None, by: Author) -> User:
        async with self._database.begin() as session:
            account = None if account_id is None else await accounts.lock(session, account_id)
            if account_id is not None and (account is None or not account.active):
                raise NoSuchAccount(account_id)
            now = self._clock.now()
            user = await users.add(session, code, name, account_id, now)
            given = {"name": name, "account_id": account_id}
            fields = {"code", *(field for field, value in given.items() if value is not None)}
            await by.note(session, now, "create", ("user", user.id), fields)
            return user

"""The parts about access, as tests put them together."""

from dataclasses import dataclass

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.authentication import Authentication
from llm_backend.domain.keys import Keys, NewKey
from llm_backend.domain.responses.summaries import Summaries
from llm_backend.domain.secrets import Secrets
from llm_backend.storage.accounts import Account
from llm_backend.storage.database import Database
from tests.clocks import SetClock

MASTER = b"a master secret for tests, of more than thirty-two bytes"
SUMMARIES = Summaries(Secrets(MASTER))


@dataclass(frozen=True, slots=True)
class Parts:
    """Accounts, keys and authentication on one database and one clock."""

    database: Database
    clock: SetClock
    accounts: Accounts
    keys: Keys
    authentication: Authentication

    @classmethod
    def of(cls, database: Database, master: bytes = MASTER) -> "Parts":
        clock = SetClock()
        keys = Keys(database, Secrets(master), clock)
        return cls(database, clock, Accounts(database, clock), keys, Authentication(keys, clock))

    async def alice(self) -> tuple[Account, NewKey]:
        return await self.accounts.create_with_key("alice", self.keys)

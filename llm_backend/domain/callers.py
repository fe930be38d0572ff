"""Who asked, of what goes on without them."""

from llm_backend.domain.allowances import Allowance
from llm_backend.domain.clock import Clock
from llm_backend.domain.identity import Caller
from llm_backend.domain.keys import caller_of
from llm_backend.storage import accounts, keys
from llm_backend.storage.accounts import Account
from llm_backend.storage.database import Database


class Callers:
    """Finds them again."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, account_id: int, key_id: str | None) -> Caller | None:
        """Who asked by that key, or without one, as they may ask now; None where they may not. Raises Unavailable."""
        async with self._database.reading() as session:
            if key_id is None:
                account = await accounts.find(session, account_id)
                return keyless(account) if account and account.active else None
            holder = await keys.find(session, key_id)
        if holder is None or not holder.is_active or not holder.key.is_in_use(self._clock.now()):
            return None
        return caller_of(holder)


def keyless(account: Account) -> Caller:
    """Whoever asks without a key, where everyone is that account."""
    limits = Allowance(account.requests_per_minute, account.tokens_per_minute, account.concurrent_requests)
    return Caller(account.id, account.name, None, limits_of_account=limits, fits=account.fits, stores=account.stores)

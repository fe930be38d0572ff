"""Requests that bear an idempotency key."""

from dataclasses import replace

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from llm_backend.errors import Json
from tests.faults.asking import HELLO, Answered, asked
from tests.serving import SECRET_KEY, Running

KEY = "idempotency-key"
REPLAYED = "idempotent-replayed"


async def keyed(running: Running, key: str, body: Json = HELLO, *, stream: bool = False) -> Answered:
    """The answer to a chat request with this key."""
    return await asked(running, body, stream=stream, **{KEY: key})


async def at_last(running: Running, key: str, body: Json = HELLO, *, stream: bool = False) -> Answered:
    """As `keyed`, asked again for as long as the first request is not over."""
    while True:
        answer = await keyed(running, key, body, stream=stream)
        if answer.events or answer.status != 409 or answer.error["code"] != "idempotency_in_progress":
            return answer


async def another_account(running: Running) -> Running:
    """The same server as another account sees it."""
    clock = SystemClock()
    keys = Keys(running.database, await unlock(running.database, SECRET_KEY, clock), clock)
    account, key = await Accounts(running.database, clock).create_with_key("another", keys)
    return replace(running, account_id=account.id, key=key.text)

"""Two processes on one database, one of which is frozen for longer than anybody believes in it."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from sqlalchemy import select, update

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.doctor import Doctor
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from llm_backend.storage import usage
from llm_backend.storage.database import Database
from llm_backend.storage.tables import reservation
from llm_backend.storage.usage import UsageRecord
from tests.databases import ON_POSTGRESQL
from tests.faulty import DONE, FaultyUpstream, chunk
from tests.faulty import usage as told_usage
from tests.proof.mortals import Mortals, mortals
from tests.proof.survivors import KEY, LONG_AGO
from tests.serving import SECRET_KEY

SWEEP_SECONDS = 0.2
"""As dying.py has it, which cannot be imported: it is a program."""

HELLO = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}], "stream": True}


async def freeze(server: Mortals, database: Database) -> None:
    """Stop it where it locks nothing, and let its leases be over."""
    while True:
        server.signal(signal.SIGSTOP)
        async with database.begin() as session:
            free = select(reservation.c.attempt_id).with_for_update(skip_locked=True)
            if (await session.execute(free)).all():
                await session.execute(update(reservation).values(lease_until=LONG_AGO))
                return
        server.signal(signal.SIGCONT)


async def records_of(database: Database, account_id: int) -> list[UsageRecord]:
    async with database.reading() as session:
        return await usage.of_account(session, account_id)


@ON_POSTGRESQL
async def test_what_a_frozen_process_runs_is_settled_by_another_and_corrected_when_it_wakes(
    database: Database, tmp_path: Path, upstream: FaultyUpstream
) -> None:
    # Row 64
    clock, woken = SystemClock(), asyncio.Event()
    upstream.streams("To ", "be ", woken, "told", chunk(finish="stop"), told_usage(9, 3))
    keys = Keys(database, await unlock(database, SECRET_KEY, clock), clock)
    account, key = await Accounts(database, clock).create_with_key("tests", keys, token_limit=10**9)
    given = {"DATABASE_URL": database.url, "SECRET_KEY": SECRET_KEY, "OPENAI_BASE_URL": upstream.base_url}
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(aiohttp.ClientSession(headers={"authorization": f"Bearer {key.text}"}))
        servers = []
        for name in ("frozen", "other"):
            (tmp_path / name).mkdir()
            servers.append(await stack.enter_async_context(mortals(tmp_path / name, OPENAI_API_KEY=KEY, **given)))
        assert await asyncio.gather(*(server.start() for server in servers)) == [True, True]
        url = f"{servers[0].root}/v1/chat/completions"
        answer = await stack.enter_async_context(client.post(url, json=HELLO))

        swept: list[UsageRecord] = []
        while not swept:
            # Again, should a statement have been on its way when it was stopped.
            servers[0].signal(signal.SIGCONT)
            await freeze(servers[0], database)
            await asyncio.sleep(2 * SWEEP_SECONDS)
            swept = await records_of(database, account.id)
        woken.set()
        servers[0].signal(signal.SIGCONT)
        said = await answer.read()

        assert said.endswith(DONE)
        assert [(record.kind, record.basis) for record in swept] == [("charge", "crash")]
        records = await records_of(database, account.id)
        assert {(record.kind, record.basis) for record in records} == {("charge", "crash"), ("adjustment", "reported")}
        assert sum(record.prompt_tokens for record in records) == 9
        assert sum(record.completion_tokens for record in records) == 3
        assert await Doctor(database).violations() == []

"""Responses whose server is killed while it makes them, as a process of its own."""

import signal
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from llm_backend.domain.accounts import Accounts
from llm_backend.domain.clock import SystemClock
from llm_backend.domain.doctor import Doctor
from llm_backend.domain.keys import Keys
from llm_backend.domain.secrets import unlock
from llm_backend.storage import usage
from llm_backend.storage.database import Database
from llm_backend.storage.tables import reservation, response
from tests.handlers.resuming import Asker, numbers
from tests.proof.mortals import mortals
from tests.proof.survivors import LONG_AGO
from tests.serving import SECRET_KEY


@pytest.mark.parametrize("kind", ["native", "chat"])
@pytest.mark.parametrize("background", [True, False])
async def test_what_a_killed_server_made_is_ended_by_the_next_and_charged_once(
    database: Database, tmp_path: Path, kind: str, *, background: bool
) -> None:
    clock = SystemClock()
    keys = Keys(database, await unlock(database, SECRET_KEY, clock), clock)
    account, key = await Accounts(database, clock).create_with_key("tests", keys)
    headers = {"authorization": f"Bearer {key.text}"}
    given = {"DATABASE_URL": database.url, "SECRET_KEY": SECRET_KEY, "LLM_BACKEND_HOME": str(tmp_path)}
    async with mortals(tmp_path, OPENAI_BASE_URL="echo", UPSTREAM_RESPONSES=kind, **given) as servers:
        assert await servers.start(), "".join(servers.lines)
        async with httpx.AsyncClient(base_url=f"{servers.root}/v1", headers=headers, timeout=60) as client:
            asker = Asker(client)
            said = "one two three [[fault hang-mid-stream after=2]]"
            had = await asker.events(said, 5, background=background)
            response_id = had[0]["response"]["id"]
            # What is read again is kept.
            kept = await asker.resumed(response_id, most=5)
        servers.signal(signal.SIGKILL)
        await servers.ended.wait()
        if not database.is_sqlite:
            # The next one there cannot know that it is alone: a minute goes by.
            async with database.begin() as session:
                for table in (reservation, response):
                    await session.execute(update(table).values(lease_until=LONG_AGO))

        assert await servers.start(), "".join(servers.lines)

        async with httpx.AsyncClient(base_url=f"{servers.root}/v1", headers=headers, timeout=60) as client:
            told = await Asker(client).resumed(response_id)
            found = await Asker(client).ask("GET", f"/{response_id}")
    assert told[:5] == had == kept
    assert numbers(told) == list(range(len(told)))
    assert (told[-1]["type"], told[-1]["response"]) == ("response.failed", found)
    assert (found["status"], found["error"]["code"]) == ("failed", "server_error")
    async with database.reading() as session:
        assert [record.basis for record in await usage.of_account(session, account.id)] == ["crash"]
    assert await Doctor(database).violations() == []

"""Responses that were brought from another database, where their account had another number."""

import shutil
from pathlib import Path

import httpx
from sqlalchemy import update

from llm_backend.domain.exports import Exports
from llm_backend.domain.imports import Imports
from llm_backend.domain.responses.summaries import Summaries
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import Json
from llm_backend.storage.dumps import Scope
from llm_backend.storage.tables import account
from tests.clocks import SetClock
from tests.domain.belongings import ADMIN
from tests.handlers.answering import answering, asker, told
from tests.serving import SECRET_KEY, Running, serving

__all__ = ["answering", "asker"]

TALK: list[Json] = [{"role": "user", "content": "I am Ada."}, {"role": "assistant", "content": "Hello Ada."}]


async def moved(source: Running, target: Running, file: Path) -> None:
    """Bring the account of one server to the other, which has one of the same number and name."""
    await source.quiet()
    async with source.database.begin() as session:
        await session.execute(update(account).values(name="moving"))
    with file.open("wb") as out:
        await Exports(source.database, SetClock()).write(Scope(source.account_id), out)
    summaries = Summaries(Secrets(SECRET_KEY.encode()))
    brought = await Imports(target.database, summaries, SetClock()).bring(file, ADMIN)
    assert (brought.renumbered["account"], brought.lost_summaries) == (1, 0)


async def test_a_dialogue_that_holds_a_summary_is_gone_on_with_and_its_events_are_not_told(
    answering: Running, asker: httpx.AsyncClient, migrated_file: Path, tmp_path: Path
) -> None:
    short = await told(asker, "/compact", model="echo", input=TALK)
    first = await told(asker, "", model="echo", input=[*short["output"], {"role": "user", "content": "Who am I?"}])
    begun = await told(asker, "", model="echo", input="Hi", background=True)
    shutil.copy(migrated_file, tmp_path / "other.db")
    kind = str(answering.settings.upstream_responses)

    async with serving(f"sqlite:///{tmp_path / 'other.db'}", tmp_path, UPSTREAM_RESPONSES=kind) as target:
        await moved(answering, target, tmp_path / "file")
        async with httpx.AsyncClient(base_url=target.base_url, headers=answering.headers) as client:
            second = await told(client, "", model="echo", input="Sure?", previous_response_id=first["id"])
            events = await client.get(f"/responses/{begun['id']}", params={"stream": "true"})

    assert second["status"] == "completed"
    assert (events.status_code, events.json()["error"]["param"]) == (400, "stream")

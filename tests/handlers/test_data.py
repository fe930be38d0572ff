"""What is known of an account or user, handed out and taken away over HTTP."""

import hashlib
import shutil
from pathlib import Path

import httpx
import orjson
import pytest

from llm_backend.domain.imports import Imports
from llm_backend.storage.database import Database
from tests.clocks import SetClock
from tests.databases import ON_SQLITE
from tests.domain import belongings
from tests.domain.belongings import ADMIN, rows
from tests.domain.parts import SUMMARIES
from tests.handlers.administering import Admin, key_status
from tests.serving import Running


@pytest.fixture
async def asked(running: Running) -> Running:
    """A server whose account has asked once for one of its users, and once for nobody."""
    for end_user in ("s1", None):
        body = {"model": "echo", "messages": [{"role": "user", "content": "Hello"}], "user": end_user}
        await _post(running, {name: value for name, value in body.items() if value is not None})
    await running.quiet()
    return running


async def _post(running: Running, body: object) -> None:
    async with httpx.AsyncClient(base_url=running.root) as client:
        answer = await client.post("/v1/chat/completions", json=body, headers=running.headers)
    assert answer.status_code == 200


async def test_an_account_is_handed_out_whole_and_can_be_brought_elsewhere(
    asked: Running, admin: Admin, migrated_file: Path, tmp_path: Path
) -> None:
    answer = await admin.client.get(f"/api/accounts/{asked.account_id}/export")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jsonl")
    *before, last = answer.content.splitlines(keepends=True)
    end = orjson.loads(last)
    assert end["sha256"] == hashlib.sha256(b"".join(before)).hexdigest()
    assert (end["counts"]["account"], end["counts"]["key"], end["counts"]["usage_record"]) == (1, 1, 2)
    assert asked.key not in answer.text
    (tmp_path / "file").write_bytes(answer.content)
    shutil.copy(migrated_file, tmp_path / "other.db")
    other = Database(f"sqlite:///{tmp_path / 'other.db'}")
    await Imports(other, SUMMARIES, SetClock()).bring(tmp_path / "file", ADMIN)
    assert await rows(other, "account", "name") == [("tests",)]
    await other.close()


async def test_an_erased_account_is_refused_at_once_and_its_books_are_in_order(asked: Running, admin: Admin) -> None:
    erased = await admin.ask("DELETE", f"/accounts/{asked.account_id}/data")

    assert erased == {
        "conversations": 0,
        "items": 0,
        "responses": 0,
        "keys": 1,
        "users": 0,
        "results": 0,
        "objects": 0,
        "events": 0,
        "names": 1,
        "end_users": 0,
    }
    assert await key_status(asked, asked.key) == 401
    account = await admin.ask("GET", f"/accounts/{asked.account_id}")
    assert (account["name"], account["active"], account["usage"] > 0) == (f"erased-{asked.account_id}", False, True)


async def test_an_account_that_runs_is_closed_and_erased_later(asked: Running, admin: Admin) -> None:
    await belongings.running(asked.database, asked.account_id, None)

    answer = await admin.client.delete(f"/api/accounts/{asked.account_id}/data")

    assert (answer.status_code, answer.headers["retry-after"]) == (409, "20")
    assert "last requests still run" in answer.json()["error"]
    assert await key_status(asked, asked.key) == 401


async def test_an_erased_user_is_named_nowhere(asked: Running, admin: Admin) -> None:
    user = await admin.user("s1")

    erased = await admin.ask("DELETE", f"/users/{user['id']}/data")

    assert (erased["users"], erased["names"]) == (1, 1)
    assert await rows(asked.database, "usage_record", "end_user") == [(None,), (None,)]
    assert await admin.ask("GET", "/users") == []


@ON_SQLITE
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/accounts/99/export"), ("DELETE", "/accounts/99/data"), ("DELETE", "/users/99/data")]
)
async def test_what_is_not_there_is_told_so(admin: Admin, method: str, path: str) -> None:
    assert "with id 99 does not exist" in await admin.refused(method, path, status=404)

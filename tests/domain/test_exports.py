"""What goes out comes in again, on the same database and on the other."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from llm_backend.domain import items as shapes
from llm_backend.domain.exports import Exports
from llm_backend.domain.imports import AlreadyThere, Imports, NotAnExport
from llm_backend.domain.responses.summaries import INTRODUCTION, Summaries
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import Json, NotFound
from llm_backend.storage import tables
from llm_backend.storage.database import Database
from llm_backend.storage.dumps import KINDS, LEFT_OUT, Scope
from tests.clocks import SetClock
from tests.databases import BOTH, ON_SQLITE, Lending
from tests.domain.belongings import ADMIN, a_response, furnished, rows, running, violations
from tests.domain.parts import SUMMARIES, Parts
from tests.storage.records import NOON

EVERYTHING = Scope()


@pytest.fixture(params=BOTH)
def other_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Another migrated database, on SQLite and on PostgreSQL in turn."""
    if request.param == "sqlite":
        file = tmp_path / "other.db"
        shutil.copy(request.getfixturevalue("migrated_file"), file)
        yield f"sqlite:///{file}"
        return
    lending: Lending = request.getfixturevalue("lending")
    with lending.lent() as url:
        yield url


async def exported(database: Database, file: Path, scope: Scope = EVERYTHING) -> list[Json]:
    """The lines that were written to `file`."""
    with file.open("wb") as out:
        await Exports(database, SetClock()).write(scope, out)
    return lines_of(file)


def lines_of(file: Path) -> list[Json]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def kinds(lines: list[Json]) -> dict[str, int]:
    return {name: count for name, count in lines[-1]["counts"].items() if count}


def test_every_table_is_moved_or_known_to_stay() -> None:
    assert {kind.table.name for kind in KINDS} | LEFT_OUT == set(tables.metadata.tables)


async def test_a_fresh_database_says_after_an_import_what_the_first_one_said(
    parts: Parts, other_url: str, tmp_path: Path
) -> None:
    await furnished(parts)
    await running(parts.database, await furnished(parts, "bob"), "s1")
    await parts.accounts.close(2, ADMIN)
    first = await exported(parts.database, tmp_path / "first")
    other = Database(other_url)

    brought = await Imports(other, SUMMARIES, SetClock()).bring(tmp_path / "first", ADMIN)
    again = await exported(other, tmp_path / "again")

    assert (brought.counts, brought.renumbered) == (kinds(first), {})
    added = again.pop(-2)
    assert again[1:-1] == first[1:-1]
    assert (added["kind"], added["row"]["operation"], added["row"]["target_kind"]) == (
        "audit_record",
        "import",
        "import",
    )
    assert {kind.name for kind in KINDS} == set(kinds(first))
    # What comes later gets numbers that nobody had.
    later = Parts.of(other)
    assert (await later.accounts.create("carol")).id > 2
    await other.close()


async def test_ids_that_are_taken_change_and_whatever_refers_to_them_follows(
    parts: Parts, other_url: str, tmp_path: Path
) -> None:
    other = Parts.of(Database(other_url))
    await furnished(other, "someone")
    key = (await parts.alice())[1]
    await furnished(parts, "bob")
    await running(parts.database, 2, None)
    await exported(parts.database, tmp_path / "file")

    brought = await Imports(other.database, SUMMARIES, SetClock()).bring(tmp_path / "file", ADMIN)

    assert brought.renumbered["account"] == brought.renumbered["conversation"] == 1
    assert [name for _, name in await rows(other.database, "account", "id", "name")] == ["someone", "bob", "alice"]
    assert (await other.authentication.account(key.text)).account_name == "alice"
    assert await violations(other.database) == []
    owners = dict(await rows(other.database, "conversation", "public_id", "account_id"))
    assert owners == {"conv_someone": 1, "conv_bob": 2}
    assert await rows(other.database, "item", "conversation_id", "account_id") == [(1, 1), (2, 2)]
    assert await rows(other.database, "response", "public_id", "conversation_id", "account_id") == [
        ("resp_someone", 1, 1),
        ("resp_bob", 2, 2),
    ]
    await other.database.close()


@pytest.mark.parametrize("name", ["alice", "bob"])
async def test_what_is_there_already_is_named_and_nothing_is_changed(parts: Parts, tmp_path: Path, name: str) -> None:
    await furnished(parts)
    await exported(parts.database, tmp_path / "file")
    await parts.accounts.update(1, {"name": name}, ADMIN)
    before = await exported(parts.database, tmp_path / "before")

    with pytest.raises(AlreadyThere, match="of these names are open here: alice" if name == "alice" else "alice-1"):
        await Imports(parts.database, SUMMARIES, SetClock()).bring(tmp_path / "file", ADMIN)

    assert await exported(parts.database, tmp_path / "after") == before


async def test_an_answer_that_is_being_made_comes_in_for_the_sweep_to_end_and_is_not_begun_again(
    parts: Parts, other_url: str, tmp_path: Path
) -> None:
    await parts.alice()
    made_now = {"status": "queued", "owner": "somebody", "lease_until": NOON, "ended_at": None, "request": b"{}"}
    async with parts.database.begin() as session:
        await session.execute(tables.response.insert().values(a_response(1, "resp_1") | made_now))
    await exported(parts.database, tmp_path / "file")
    other = Database(other_url)

    await Imports(other, SUMMARIES, SetClock()).bring(tmp_path / "file", ADMIN)

    found = await rows(other, "response", "public_id", "status", "owner", "lease_until", "request", "metadata")
    assert found == [("resp_1", "queued", "somebody", NOON, None, {"topic": "tides"})]
    await other.close()


async def test_of_events_that_stay_behind_nothing_is_told(parts: Parts, other_url: str, tmp_path: Path) -> None:
    await parts.alice()
    told = {"events_until": NOON}
    async with parts.database.begin() as session:
        await session.execute(tables.response.insert().values(a_response(1, "resp_1") | told))
        await session.execute(
            tables.response.insert().values(a_response(1, "chatcmpl-1") | told | {"is_stored": False})
        )
    await exported(parts.database, tmp_path / "file")
    other = Database(other_url)

    brought = await Imports(other, SUMMARIES, SetClock()).bring(tmp_path / "file", ADMIN)

    assert await rows(other, "response", "public_id", "events_until") == [("resp_1", None)]
    assert brought.counts["response"] == 1
    await other.close()


@pytest.mark.parametrize("is_same_secret", [True, False])
async def test_summaries_are_sealed_for_the_account_as_it_is_numbered_here(
    parts: Parts, other_url: str, tmp_path: Path, *, is_same_secret: bool
) -> None:
    other = Parts.of(Database(other_url))
    await other.accounts.create("somebody")
    await furnished(parts)
    ours, foreign = SUMMARIES.sealed("Ada", 1), {"id": "cmp_1", "type": "compaction", "encrypted_content": "gAAAAAB"}
    async with parts.database.begin() as session:
        await session.execute(tables.item.insert(), shapes.rows([ours, foreign], (1, 1, 1), NOON))
    await exported(parts.database, tmp_path / "file")
    summaries = SUMMARIES if is_same_secret else Summaries(Secrets(b"another" * 8))

    brought = await Imports(other.database, summaries, SetClock()).bring(tmp_path / "file", ADMIN)

    kept = [orjson.loads(content) for (content,) in await rows(other.database, "item", "content")][1:]
    assert (brought.renumbered["account"], brought.lost_summaries) == (1, 0 if is_same_secret else 1)
    assert kept[1]["encrypted_content"] == foreign["encrypted_content"]
    if is_same_secret:
        [opened] = SUMMARIES.opened([kept[0]], 2, "input")
        assert opened["content"] == INTRODUCTION + "Ada"
    else:
        assert kept[0]["encrypted_content"] == ours["encrypted_content"]
    await other.database.close()


async def test_a_file_is_brought_once(database: Database, tmp_path: Path) -> None:
    await exported(database, tmp_path / "file")
    await Imports(database, SUMMARIES, SetClock()).bring(tmp_path / "file", ADMIN)

    with pytest.raises(AlreadyThere, match="imported already"):
        await Imports(database, SUMMARIES, SetClock()).bring(tmp_path / "file", ADMIN)


@ON_SQLITE
@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda lines: lines[:-1], "its last line is missing"),
        (lambda lines: [], "its last line is missing"),
        (lambda lines: [*lines[:2], *lines[3:]], "its SHA-256 is another"),
        (lambda lines: [*lines, lines[1]], "goes on after its end"),
        (lambda lines: [lines[0], lines[1][:20]], "Line 2: this is no line"),
        (lambda lines: [lines[1]], "its first line does not say so"),
        (lambda lines: [lines[0].replace(b'"version":1', b'"version":2'), *lines[1:]], "made by a newer version"),
        (lambda lines: [lines[0], lines[1].replace(b'"course"', b'"mood"'), *lines[2:]], "knows no such account"),
    ],
)
async def test_a_file_that_is_not_whole_or_not_ours_is_refused(
    database: Database, tmp_path: Path, spoilt: "type[list[bytes]]", said: str
) -> None:
    parts = Parts.of(database)
    await parts.alice()
    await exported(database, tmp_path / "file")
    lines = (tmp_path / "file").read_bytes().splitlines(keepends=True)
    (tmp_path / "file").write_bytes(b"".join(spoilt(lines)))

    with pytest.raises(NotAnExport, match=said):
        await Imports(database, SUMMARIES, SetClock()).bring(tmp_path / "file", ADMIN)


@ON_SQLITE
async def test_one_account_goes_out_alone_and_can_come_in(parts: Parts, other_url: str, tmp_path: Path) -> None:
    await furnished(parts)
    await furnished(parts, "bob")

    lines = await exported(parts.database, tmp_path / "file", Scope(2))
    other = Database(other_url)
    await Imports(other, SUMMARIES, SetClock()).bring(tmp_path / "file", ADMIN)

    assert {line["row"].get("account_id", 2) for line in lines[1:-1]} == {2}
    assert kinds(lines) == {kind.name: 3 for kind in KINDS if "usage" in kind.name} | {
        "account": 1, "user": 1, "key": 1, "budget": 1, "budget_period": 1, "reservation": 3,
        "conversation": 1, "item": 1, "response": 1, "upstream_object": 1, "audit_record": 3,
    }  # fmt: skip
    assert await rows(other, "account", "id", "name") == [(2, "bob")]
    assert await violations(other) == []
    await other.close()


async def test_what_is_known_of_a_user_goes_out_and_is_no_import(parts: Parts, tmp_path: Path) -> None:
    await furnished(parts, ended_for=("alice-1", "s2", "alice-1"))

    lines = await exported(parts.database, tmp_path / "file", Scope(user_code="alice-1"))

    assert kinds(lines) == {"user": 1, "usage_record": 2, "usage_day": 2, "audit_record": 1}
    with pytest.raises(NotAnExport, match="one user"):
        await Imports(parts.database, SUMMARIES, SetClock()).bring(tmp_path / "file", ADMIN)


@ON_SQLITE
@pytest.mark.parametrize("scope", [Scope(7), Scope(user_code="nobody")])
async def test_nobody_is_not_exported(database: Database, tmp_path: Path, scope: Scope) -> None:
    with pytest.raises(NotFound):
        await exported(database, tmp_path / "file", scope)

"""Row E15: a suite that cannot fail proves nothing, so bugs are planted in what it tests, and it has to see each."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from llm_backend.domain import metering
from llm_backend.storage import database as storage
from llm_backend.storage.database import Database, Limits
from llm_backend.upstream.circuit import Circuit
from tests.databases import ON_SQLITE
from tests.faults import test_database_faults, test_departures, test_upstream_streamed
from tests.faults.leaving import Client
from tests.faults.stage import Stage
from tests.faulty import FaultyUpstream
from tests.proof import planting
from tests.proof.planting import IN_THE_BOOKS, Bug, Plant, complaint
from tests.serving import Running
from tests.whole import test_access
from tests.whole.access import world_on

[TRUNCATED] = [fault for fault in test_upstream_streamed.BROKEN_OFF if fault.name == "5 ends in good order"]


@pytest.mark.parametrize("bug", IN_THE_BOOKS, ids=str)
async def test_a_bug_in_the_books_is_seen(
    bug: Bug, migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with books(migrated_file, tmp_path / "sound.db") as database:
        sound = await complaint(bug.seen_by(database), database)
    async with books(migrated_file, tmp_path / "planted.db") as database:
        bug.plant(monkeypatch)
        planted = await complaint(bug.seen_by(database), database)

    assert (sound, planted is None) == (None, False)


@ON_SQLITE
async def test_an_account_that_is_forgotten_in_one_query_is_seen(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = test_access.test_what_is_anothers_is_answered_byte_for_byte_as_what_is_not_there
    async with world_on(running) as world:
        sound = await complaint(asks(world), running.database)
        planting.forgets_the_account(monkeypatch)
        planted = await complaint(asks(world), running.database)

    assert (sound, planted is None) == (None, False)


@ON_SQLITE
@pytest.mark.parametrize(
    "plant",
    [planting.ends_whatever_ends_with_done, planting.counts_what_was_delivered],
    ids=["ends whatever ends with done", "counts what was delivered"],
)
async def test_a_bug_in_streams_is_seen(relaying: Running, upstream: FaultyUpstream, plant: Plant) -> None:
    async def complained(planted: Plant | None = None) -> str | None:
        upstream.forget()
        relaying.services.upstreams.default._circuit = Circuit()
        stage = Stage(relaying, upstream, [], len(await relaying.records()))
        with pytest.MonkeyPatch.context() as patch:
            if planted is not None:
                planted(patch)
            if plant is planting.counts_what_was_delivered:
                leaves = test_departures.test_whoever_leaves_at_the_finish_is_recorded_with_the_reported_usage
                return await complaint(leaves(stage, Client.leaves, patch), relaying.database)
            breaks = test_upstream_streamed.test_a_fault_within_a_stream_is_its_last_event_and_is_recorded
            return await complaint(breaks(stage, TRUNCATED), relaying.database)

    sound = await complained()
    planted = await complained(plant)

    assert (sound, planted is None) == (None, False)


async def test_a_journal_that_loses_what_it_is_given_is_seen(
    migrated_file: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks = test_database_faults.test_a_file_that_is_locked_meanwhile_costs_the_client_nothing_and_the_books_neither
    short = partial(Limits, **test_database_faults.SHORT, pool_size=2, pool_wait_seconds=0.2)
    monkeypatch.setattr(storage, "Limits", short)
    monkeypatch.setattr(metering, "SETTLE_PAUSE_SECONDS", 0.01)

    async def complained() -> str | None:
        folder = tmp_path_factory.mktemp("journal")
        async with books(migrated_file, folder / "test.db") as database, FaultyUpstream() as upstream:
            return await complaint(locks(database.url, folder, upstream, stream=False), database)

    sound = await complained()
    planting.loses_the_journal(monkeypatch)
    planted = await complained()

    assert (sound, planted is None) == (None, False)


@asynccontextmanager
async def books(migrated_file: Path, file: Path) -> AsyncIterator[Database]:
    """A database of its own."""
    shutil.copy(migrated_file, file)
    database = Database(f"sqlite:///{file}")
    try:
        yield database
    finally:
        await database.close()

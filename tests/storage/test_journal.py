"""What the journal acknowledged is there again, whatever became of its process; what it could not keep is said."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from llm_backend.errors import Json
from llm_backend.storage.journal import ENTRY_LIMIT, Journal, JournalFailed

KILLED = """
import asyncio, sys
from pathlib import Path
from llm_backend.storage.journal import Journal

async def append(journal, number):
    await journal.append({"id": str(number), "text": "x" * (number * 37 % 900)})
    print(number, flush=True)

async def main():
    journal = Journal(Path(sys.argv[1]), "child")
    for first in range(0, 10**9, 8):
        await asyncio.gather(*(append(journal, first + place) for place in range(8)))

asyncio.run(main())
"""

FULL = """
import asyncio, json, resource, sys
from pathlib import Path
from llm_backend.storage.journal import Journal, JournalFailed

async def fill(journal):
    for number in range(1000):
        try:
            await journal.append({"id": str(number), "text": "x" * 100})
        except JournalFailed as failed:
            return number, type(failed.__cause__).__name__

async def main():
    journal = Journal(Path(sys.argv[1]), "child")
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))
    acknowledged, cause = await fill(journal)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    kept = Path(sys.argv[1], "journal-child.jsonl").read_text()
    await journal.append({"id": "later"})
    ids = [entry["id"] for entry in journal.entries()]
    await journal.close()
    print(json.dumps({"acknowledged": acknowledged, "cause": cause, "kept": kept, "ids": ids}))

asyncio.run(main())
"""


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = Journal(tmp_path, "here")
    yield opened
    await opened.close()


async def found_in(folder: Path) -> list[Json]:
    """What dead processes have left there."""
    async with Journal.left_behind(folder) as left:
        return [entry for each in left for entry in each.entries]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def written(folder: Path, *ids: str) -> Path:
    """The file of a process that has ended with these entries unconfirmed."""
    journal = Journal(folder, "gone")
    for entry_id in ids:
        await journal.append({"id": entry_id, "text": "naïve"})
    await journal.close()
    return folder / "journal-gone.jsonl"


@pytest.mark.parametrize("acknowledgements", [1, 50, 300])
async def test_a_process_that_is_killed_loses_no_acknowledged_entry(tmp_path: Path, acknowledgements: int) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout
    told = [await child.stdout.readline() for _ in range(acknowledgements)]
    found_alive = await found_in(tmp_path)
    child.kill()
    told += [line for line in (await child.stdout.read()).splitlines(keepends=True) if line.endswith(b"\n")]
    await child.wait()

    found = [entry["id"] for entry in await found_in(tmp_path)]

    assert found_alive == []
    assert {line.decode().strip() for line in told} <= set(found)
    assert found == [str(number) for number in range(len(found))]


def test_a_full_disk_is_told_keeps_what_it_has_and_takes_entries_again_when_there_is_room(tmp_path: Path) -> None:
    done = subprocess.run(  # noqa: S603 (our own code)
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, check=True
    )

    said = orjson.loads(done.stdout)
    acknowledged = [str(number) for number in range(said["acknowledged"])]
    lines = [orjson.loads(line) for line in said["kept"].splitlines()]
    assert said["cause"] == "OSError"
    assert len(acknowledged) > 10
    assert [line["entry"]["id"] for line in lines] == acknowledged
    assert said["ids"] == [*acknowledged, "later"]


async def test_a_file_that_was_cut_anywhere_gives_every_whole_entry_and_keeps_the_rest(tmp_path: Path) -> None:
    whole = (await written(tmp_path / "whole", "1", "2", "3")).read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]

    for cut in range(1, len(whole)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        file = folder / "journal-cut.jsonl"
        file.write_bytes(whole[:cut])
        with capture_logs() as logged:
            found = [entry["id"] for entry in await found_in(folder)]

        assert found == ["1", "2", "3"][: sum(end <= cut for end in ends)]
        # A line without its end is whole none the less.
        begun = whole[:cut].rpartition(b"\n")[2] if cut not in ends else b""
        kept = [copy.read_bytes() for copy in folder.glob("*.damaged")]
        assert kept == [begun] * bool(begun)
        offset = cut - len(begun)
        assert [(line["log_level"], line["file"], line["offset"]) for line in logged] == [
            ("critical", str(file), offset) for _ in kept
        ]


async def test_a_line_that_changed_is_skipped_told_once_and_kept(tmp_path: Path) -> None:
    file = await written(tmp_path, "1", "2", "3")
    lines = file.read_bytes().split(b"\n")
    changed = lines[1].replace(b'"2"', b'"9"')
    file.write_bytes(b"\n".join([lines[0], changed, *lines[2:]]))

    with capture_logs() as logged:
        found = [await found_in(tmp_path), await found_in(tmp_path)]

    assert [[entry["id"] for entry in each] for each in found] == [["1", "3"]] * 2
    offset = len(lines[0]) + 1
    assert [(line["event"], line["offset"]) for line in logged] == [("journal_damaged", offset)]
    assert (tmp_path / f"{file.name}.{offset}.damaged").read_bytes() == changed


async def test_what_was_left_behind_has_one_reader_at_a_time_and_goes_when_it_is_confirmed(tmp_path: Path) -> None:
    await written(tmp_path, "1")

    async with Journal.left_behind(tmp_path) as taken:
        assert [entry["id"] for each in taken for entry in each.entries] == ["1"]
        assert await found_in(tmp_path) == []
    async with Journal.left_behind(tmp_path) as again:
        for each in again:
            await each.confirm()

    assert len(again) == 1
    assert names_in(tmp_path) == []


async def test_a_file_that_cannot_be_read_is_told_and_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "journal-folder.jsonl").mkdir()
    await written(tmp_path, "1")

    with capture_logs() as logged:
        found = await found_in(tmp_path)

    assert [entry["id"] for entry in found] == ["1"]
    assert [(line["event"], line["log_level"]) for line in logged] == [("journal_unreadable", "critical")]


async def test_a_file_in_which_nothing_is_goes_unseen(tmp_path: Path) -> None:
    (tmp_path / "journal-empty.jsonl").touch()

    assert await found_in(tmp_path) == []

    assert names_in(tmp_path) == []


async def test_entries_are_given_in_the_order_in_which_they_came(journal: Journal) -> None:
    await asyncio.gather(*(journal.append({"id": str(number)}) for number in range(200)))
    await journal.append({"id": "last"})

    assert [entry["id"] for entry in journal.entries()] == [*map(str, range(200)), "last"]


async def test_the_file_is_there_as_long_as_an_entry_is_unconfirmed(journal: Journal, tmp_path: Path) -> None:
    for entry_id in ("1", "2", "3"):
        await journal.append({"id": entry_id})

    await journal.confirm(["1", "3"])
    between = [entry["id"] for entry in journal.entries()], names_in(tmp_path)
    await journal.confirm(["2"])

    assert between == (["2"], ["journal-here.jsonl"])
    assert journal.entries() == []
    assert names_in(tmp_path) == []
    await journal.append({"id": "4"})
    assert names_in(tmp_path) == ["journal-here.jsonl"]


async def test_nobody_else_reads_the_folder(tmp_path: Path) -> None:
    file = await written(tmp_path / "journal", "1")

    assert (file.parent.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


async def test_who_stops_waiting_stops_nobody_else(journal: Journal) -> None:
    impatient = asyncio.create_task(journal.append({"id": "1"}))
    patient = asyncio.create_task(journal.append({"id": "2"}))
    await asyncio.sleep(0)
    impatient.cancel()

    await patient

    assert impatient.cancelled()
    assert "2" in [entry["id"] for entry in journal.entries()]


async def test_an_entry_that_is_too_large_is_refused_and_the_next_one_taken(journal: Journal) -> None:
    with pytest.raises(JournalFailed):
        await journal.append({"id": "1", "text": "x" * ENTRY_LIMIT})

    await journal.append({"id": "2"})

    assert [entry["id"] for entry in journal.entries()] == ["2"]


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    journal = Journal(tmp_path / "file" / "journal", "here")

    with pytest.raises(JournalFailed) as failed:
        await journal.append({"id": "1"})

    assert isinstance(failed.value.__cause__, OSError)
    assert journal.entries() == []

import asyncio
from collections.abc import Collection
from contextlib import suppress

import pytest

from llm_backend.domain import readings as module
from llm_backend.domain.readings import MOST_AT_ONCE, Readings
from llm_backend.errors import DatabaseUnavailable
from llm_backend.storage.database import Database


class Slow:
    """Something to be read, which answers when it is told to: with the number of the reading."""

    def __init__(self) -> None:
        self.read_together: list[set[str]] = []
        self.is_ready = asyncio.Event()
        self.is_away = False

    async def read(self, names: Collection[str]) -> dict[str, int]:
        self.read_together.append(set(names))
        number = len(self.read_together)
        await self.is_ready.wait()
        if self.is_away:
            raise DatabaseUnavailable
        return dict.fromkeys(names, number)


class Hanging:
    """Something to be read, where some readings take as long as they are told to."""

    def __init__(self, names: Collection[str]) -> None:
        """`names`: whoever reads one of them waits until it is let go."""
        self.goes_on = {name: asyncio.Event() for name in names}
        self.read_together: list[set[str]] = []

    async def read(self, names: Collection[str]) -> dict[str, int]:
        self.read_together.append(set(names))
        for name in self.goes_on.keys() & set(names):
            await self.goes_on[name].wait()
        return dict.fromkeys(names, 1)


async def some_turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_who_asks_for_the_same_meanwhile_shares_the_answer(database: Database) -> None:
    slow = Slow()
    readings = Readings(database, slow.read)
    asking = [asyncio.create_task(readings.of("a")) for _ in range(2)]
    await some_turns()
    slow.is_ready.set()

    assert await asyncio.gather(*asking) == [1, 1]
    assert await readings.of("a") == 2


async def test_who_asks_while_something_is_read_is_read_together_with_all_others_who_do(database: Database) -> None:
    slow = Slow()
    readings = Readings(database, slow.read)
    first = asyncio.create_task(readings.of("a"))
    await some_turns()
    others = [asyncio.create_task(readings.of(name)) for name in ("b", "a", "c")]
    await some_turns()
    slow.is_ready.set()

    assert await asyncio.gather(first, *others) == [1, 2, 1, 2]
    assert slow.read_together == [{"a"}, {"b", "c"}]


async def test_what_is_not_there_is_answered_so(database: Database) -> None:
    async def nothing(_names: Collection[str]) -> dict[str, int]:
        return {}

    assert await Readings(database, nothing).of("a") is None


async def test_who_asks_after_it_was_forgotten_shares_nothing_that_began_before(database: Database) -> None:
    slow = Slow()
    readings = Readings(database, slow.read)
    early = asyncio.create_task(readings.of("a"))
    await some_turns()
    readings.forget()
    late = asyncio.create_task(readings.of("a"))
    await some_turns()
    slow.is_ready.set()

    assert (await early, await late) == (1, 2)


async def test_whoever_leaves_takes_the_answer_from_nobody(database: Database) -> None:
    slow = Slow()
    readings = Readings(database, slow.read)
    first, second = (asyncio.create_task(readings.of("a")) for _ in range(2))
    await some_turns()
    first.cancel()
    slow.is_ready.set()
    with suppress(asyncio.CancelledError):
        await first

    assert first.cancelled()
    assert await second == 1


async def test_a_reading_that_fails_is_told_to_all_of_it_and_the_next_is_not_hindered(database: Database) -> None:
    slow = Slow()
    readings = Readings(database, slow.read)
    asking = [asyncio.create_task(readings.of("a")) for _ in range(2)]
    await some_turns()
    slow.is_away = True
    slow.is_ready.set()
    for each in asking:
        with pytest.raises(DatabaseUnavailable):
            await each

    slow.is_away = False
    assert await readings.of("a") == 2


async def test_a_reading_that_takes_long_holds_up_no_other(database: Database) -> None:
    hanging = Hanging({"a"})
    readings = Readings(database, hanging.read)
    first = asyncio.create_task(readings.of("a"))
    await some_turns()

    assert await asyncio.gather(*(readings.of(name) for name in ("b", "c"))) == [1, 1]
    assert await readings.of("d") == 1
    assert not first.done()
    assert hanging.read_together == [{"a"}, {"b", "c"}, {"d"}]
    hanging.goes_on["a"].set()
    assert await first == 1


async def test_where_all_take_long_only_so_many_go_on_beside_each_other(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0)
    names = [str(number) for number in range(MOST_AT_ONCE + 2)]
    hanging = Hanging(names)
    readings = Readings(database, hanging.read)
    asking = []
    for name in names:
        asking.append(asyncio.create_task(readings.of(name)))
        await some_turns(10)

    assert hanging.read_together == [{name} for name in names[:MOST_AT_ONCE]]
    for event in hanging.goes_on.values():
        event.set()
    assert await asyncio.gather(*asking) == [1] * len(names)
    assert hanging.read_together[MOST_AT_ONCE:] == [set(names[MOST_AT_ONCE:])]

"""Upstreams by name, and what becomes of one that is taken away."""

import pytest

from llm_backend.upstream.circuit import Circuit
from llm_backend.upstream.deadlines import Timeouts
from llm_backend.upstream.echo import Echo, EchoTransport
from llm_backend.upstream.upstream import Upstream
from llm_backend.upstream.upstreams import Upstreams
from llm_backend.upstream.wire import Outbound


class Counted(EchoTransport):
    """Echo, which counts how often it was closed."""

    def __init__(self) -> None:
        super().__init__(Echo())
        self.closed = 0

    async def close(self) -> None:
        self.closed += 1


def named(name: str, transport: Counted) -> Upstream:
    return Upstream(name, transport, timeouts=Timeouts(), circuit=Circuit())


async def test_upstreams_are_found_by_name_and_the_first_is_the_default() -> None:
    first, second = named("first", Counted()), named("second", Counted())
    upstreams = Upstreams([first, second])

    assert (upstreams.default, upstreams.get("second")) == (first, second)
    assert [each["name"] for each in upstreams.health()] == ["first", "second"]
    with pytest.raises(KeyError):
        upstreams.get("third")


async def test_one_that_is_taken_away_closes_when_its_last_answer_ends() -> None:
    idle, busy, stays = Counted(), Counted(), Counted()
    upstreams = Upstreams([named("idle", idle), named("busy", busy), kept := named("kept", stays)])
    answers = [await upstreams.get("busy").open(Outbound("GET", "/models")) for _ in range(2)]

    await upstreams.replace([kept])

    assert (idle.closed, busy.closed, stays.closed) == (1, 0, 0)
    await answers[0].close()
    await answers[0].close()
    assert busy.closed == 0
    await answers[1].close()
    assert (busy.closed, stays.closed) == (1, 0)
    assert list(upstreams) == [kept]


async def test_all_of_them_are_closed_at_the_end() -> None:
    busy, stays = Counted(), Counted()
    upstreams = Upstreams([named("busy", busy), kept := named("kept", stays)])
    await upstreams.get("busy").open(Outbound("GET", "/models"))
    await upstreams.replace([kept])

    await upstreams.close()

    assert (busy.closed, stays.closed) == (1, 1)

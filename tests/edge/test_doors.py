import asyncio
import socket

import pytest
import uvloop

from llm_backend.edge.doors import DOORS, further_doors

COMING = 10 * DOORS


async def turns_until_all_are_in(*, has_further: bool) -> int:
    """Turns of the loop from the first to the last of many connections that wait."""
    loop = asyncio.get_running_loop()
    let_in: list[int] = []
    turn = 0

    class Guest(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            let_in.append(turn)
            transport.close()

    servers = [await loop.create_server(Guest, "127.0.0.1", 0, backlog=COMING)]
    if has_further:
        servers += await further_doors(servers, Guest, COMING)
    address = servers[0].sockets[0].getsockname()
    waiting = [socket.create_connection(address) for _ in range(COMING)]
    while len(let_in) < COMING:
        turn += 1
        await asyncio.sleep(0)
    for each in waiting:
        each.close()
    for server in servers:
        server.close()
        await server.wait_closed()
    return let_in[-1] - let_in[0] + 1


@pytest.mark.parametrize("run", [uvloop.run, asyncio.run])
def test_of_many_who_come_at_once_several_are_let_in_by_each_turn_of_the_loop(run: type) -> None:
    assert run(turns_until_all_are_in(has_further=True)) <= COMING // (DOORS // 2)


def test_asyncios_own_loop_needs_no_further_doors() -> None:
    async def further() -> list[asyncio.Server]:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        async with server:
            return await further_doors([server], asyncio.Protocol, 1)

    assert asyncio.run(further()) == []

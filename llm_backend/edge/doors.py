"""More doors to one socket: uvloop lets in one connection by each in a turn of the loop, however many wait.

While thousands of chunks a second are on their way a turn takes milliseconds, and hundreds who come at once would wait
for seconds. asyncio's own loop lets in all who wait, by one door.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence

DOORS = 8
"""Each connection that comes has all of them look: half a microsecond each."""


async def further_doors(
    servers: Sequence[asyncio.Server], protocol: Callable[[], asyncio.Protocol], backlog: int
) -> list[asyncio.Server]:
    """What listens beside `servers`, on the same sockets; nothing where the loop needs none."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, asyncio.BaseEventLoop):
        return []
    bound = [each for server in servers for each in server.sockets]
    doors = [socket.socket(fileno=os.dup(each.fileno())) for each in bound for _ in range(DOORS - 1)]
    return [await loop.create_server(protocol, sock=door, backlog=backlog) for door in doors]

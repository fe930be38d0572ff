"""What one process has kept, told to the others by PostgreSQL: they look at once, and not at their next look.

A notice may be lost, and nobody may count on one: whoever waits looks by itself now and then. It is sent behind the
commit, in a transaction of its own that writes nothing: those that notify commit one at a time in all of a server, and
nothing is to be synced to a disk meanwhile. Whoever listens holds a lock together with all who do: as long as it is
free, nothing is sent.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any

import structlog
from sqlalchemy import BigInteger, Text, bindparam, func, select

from llm_backend.storage.database import Database
from llm_backend.storage.driver import Hot, Plan
from llm_backend.storage.engines import Limits, connect_alone

CHANNEL = "llm_backend_responses"

LOCK = 0x6C6C6D5F72657370
"""Held by who listens: a number that nobody else locks."""

ASK_SECONDS = 1.0
"""How often is asked whether anybody listens, where there is something to tell."""

MOST_IDS = 100
"""In one notice, which PostgreSQL wants shorter than 8000 bytes: an id has less than 60."""

IDLE_SECONDS = 30.0
"""How long there is a connection that nobody wants any more; and how often one that is wanted has to answer."""

PAUSE_SECONDS = 5.0
"""For so long nothing is tried again that failed."""

log = structlog.get_logger("llm_backend.responses")


class Notices:
    """Of one process, on a server."""

    def __init__(
        self, database: Database, sender: str, heard: Callable[[str], None], begun: Callable[[], None]
    ) -> None:
        """`sender`: the word that this process is known by; `heard` is told the id of what another has kept more of.

        `begun` is called when this process has begun to listen: what was told before, it has not heard.
        """
        self._database = database
        self._sender = sender
        self._heard = heard
        self._begun = begun
        self._notify = Hot(select(func.pg_notify(CHANNEL, bindparam("told", type_=Text))), is_sqlite=False)
        self._lock = Hot(select(func.pg_try_advisory_xact_lock(bindparam("lock", LOCK, BigInteger))), is_sqlite=False)
        self._untold: dict[str, None] = {}
        self._is_telling = False
        self._tell_from = self._ask_from = self._listen_from = 0.0
        self._is_wanted = False
        self._is_closed = False
        self._listening: asyncio.Task[None] | None = None

    def tell(self, public_id: str) -> None:
        """Have those who listen know that there is more of it: with all that they are told of in the same moment."""
        if monotonic() < self._tell_from:
            return
        self._untold[public_id] = None
        if not self._is_telling:
            self._is_telling = True
            self._database.start(self._told())

    def listen(self) -> None:
        """Listen, or go on to: somebody here waits for what another process keeps."""
        self._is_wanted = True
        if self._listening is None and not self._is_closed and monotonic() >= self._listen_from:
            self._listening = asyncio.create_task(self._listened())

    async def close(self) -> None:
        """Listen no more. What is kept is told all the same."""
        self._is_closed = True
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait((self._listening,))

    async def _told(self) -> None:
        try:
            await self._tell_all()
        except Exception as error:  # noqa: BLE001 (the log has it, and whoever waits looks by itself)
            log.warning("notices_untold", reason=repr(error))
            self._tell_from = monotonic() + PAUSE_SECONDS
        finally:
            self._untold.clear()
            self._is_telling = False

    async def _tell_all(self) -> None:
        if monotonic() >= self._ask_from:
            now, is_free = monotonic(), await self._database.write_one(self._tried())
            self._ask_from = now + ASK_SECONDS
            if is_free:
                self._tell_from = self._ask_from
                return
        while self._untold:
            some = list(self._untold)[:MOST_IDS]
            for each in some:
                del self._untold[each]
            await self._database.write_one(self._notice(" ".join((self._sender, *some))))

    def _tried(self) -> Plan[bool]:
        """Whether nobody has the lock."""
        [(is_free,)] = yield self._lock, {}
        return bool(is_free)

    def _notice(self, told: str) -> Plan[None]:
        yield self._notify, {"told": told}

    async def _listened(self) -> None:
        try:
            connection = await connect_alone(self._database.url, Limits())
            try:
                await self._attend(connection)
            finally:
                await connection.close(timeout=PAUSE_SECONDS)
        except Exception as error:  # noqa: BLE001 (the log has it, and whoever waits looks by itself)
            log.warning("notices_unheard", reason=repr(error))
            self._listen_from = monotonic() + PAUSE_SECONDS
        finally:
            self._listening = None

    async def _attend(self, connection: Any) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, self._hear)
        await connection.execute(f"SELECT pg_advisory_lock_shared({LOCK})")
        self._begun()
        while self._is_wanted:
            self._is_wanted = False
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await lost.wait()
            # Raises where it is lost, or the server does not answer any more.
            await connection.execute("SELECT 1")

    def _hear(self, _connection: object, _process: int, _channel: str, told: object) -> None:
        sender, *public_ids = str(told).split(" ")
        if sender != self._sender:
            for each in public_ids:
                self._heard(each)

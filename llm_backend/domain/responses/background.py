"""A response that is made while nobody waits: until it has ended, its row says what was asked and who makes it."""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any

import structlog

from llm_backend.domain.clock import Clock
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.responses.asking import Asking
from llm_backend.domain.responses.draft import Draft
from llm_backend.domain.responses.exchanges import StreamedResponse
from llm_backend.domain.responses.framing import Framing
from llm_backend.domain.responses.keeping import body, opened
from llm_backend.domain.responses.noted import Noted
from llm_backend.domain.responses.outcomes import broken
from llm_backend.domain.responses.recording import Recorder
from llm_backend.domain.responses.shown import QUEUED
from llm_backend.domain.work import Work
from llm_backend.errors import Draining, Internal, InvalidRequest, Json, LLMBackendError, ResponseCancelled, Unavailable
from llm_backend.storage import responses
from llm_backend.storage.database import Database
from llm_backend.storage.driver import run

AGAIN_SECONDS = 1.0
"""After what the database did not answer, it is asked again."""

log = structlog.get_logger("llm_backend.responses")


class Background:
    """Begins them, each in a task of its own."""

    def __init__(self, database: Database, clock: Clock, exchanges: Exchanges, asking: Asking) -> None:
        self._database = database
        self._clock = clock
        self._asking = asking
        self._log = asking.log
        self._exchanges = exchanges
        self._running: dict[str, asyncio.Task[None]] = {}

    async def begin(self, work: Work) -> dict[str, Json]:
        """One more; what is told of it at first. Raises as `Asking.whole`, before anything is kept."""
        work = work._replace(streamed=True, once=None)
        draft = await self._asking.drafting.draft(work)
        if not draft.is_stored:
            message = "What is made in the background is asked for later: it has to be stored."
            raise InvalidRequest(message, param="background", code="unsupported_value")
        await self._asking.check(draft, work)
        told = draft.told(None, QUEUED)
        if draft.judge is not None:
            draft.judge.see(told)
        admission = Admission()
        admitted = work._replace(admitted=admission.grant)
        self._start(draft.id, self._queued_and_made(draft, admitted, told, admission))
        await admission.settled()
        return told

    def again(self, draft: Draft, work: Work, recorder: Recorder) -> None:
        """Make one that is queued, as one that another process had not begun to ask for: nobody waits for it."""
        admission = Admission()
        admission.grant()
        self._start(draft.id, self._made(draft, work, recorder, admission))

    def has(self, public_id: str) -> bool:
        """Whether that one is among those that are made."""
        return public_id in self._running

    @property
    def running(self) -> int:
        """How many are made, from when they are noted until they are written."""
        return len(self._running)

    async def settled(self) -> None:
        """Returns when none is made any more."""
        while self._running:
            await asyncio.wait(self._running.values())

    def _start(self, public_id: str, making: Coroutine[Any, Any, None]) -> None:
        self._running[public_id] = task = self._database.start(making)
        task.add_done_callback(lambda _: self._running.pop(public_id))

    async def _queued_and_made(self, draft: Draft, work: Work, told: Json, admission: "Admission") -> None:
        """Note it, and begin: whether or not its client still waits to be told of it."""
        try:
            recorder = self._asking.recorder(draft, work.caller.account_id)
            values: dict[str, Any] = {
                "status": "queued",
                "body": body(told),
                "request": Noted.of(work, draft).written(),
                "key_id": work.caller.key_id,
                "owner": self._log.owner,
                "lease_until": responses.leased(),
                "events_until": recorder.events_until,
            }
            recorder.number = await self._number(opened(draft, work.caller.account_id) | values)
        except Exception as error:  # noqa: BLE001 (its client is told)
            admission.refuse(error)
            return
        try:
            await self._made(draft, work, recorder, admission)
        finally:
            # Of what nobody foresaw its client is told as well; the first word counts.
            admission.refuse(Internal())

    async def _number(self, values: Mapping[str, Any]) -> int:
        """The number of its new row. Raises Unavailable where there surely is none."""
        number = None
        try:
            async with self._database.begin() as session:
                number = await responses.add(session, values)
        except Unavailable:
            if number is None:
                raise
        else:
            return number
        # Nobody knows whether that was committed. If its client were told that it was not, it would ask once more.
        while not self._exchanges.is_cut:
            await asyncio.sleep(AGAIN_SECONDS)
            with suppress(Unavailable):
                async with self._database.begin() as session:
                    return await responses.add_once(session, values)
        raise Draining

    async def _made(self, draft: Draft, work: Work, recorder: Recorder, admission: "Admission") -> None:
        is_claimed = await self._claimed(draft, work.caller.account_id, admission)
        if is_claimed is None:
            # It stays queued: another process begins it once the lease is over, or the next one at once.
            admission.grant()
            return
        exchange: StreamedResponse | None = None
        try:
            if not is_claimed:
                raise ResponseCancelled
            exchange = await self._asking.begun(draft, work, recorder)
            exchange.abandon()
            await exchange.settled()
            if draft.ended_at is None:
                raise exchange.failed_by or ResponseCancelled
        except LLMBackendError as error:
            if admission.is_open and not isinstance(error, ResponseCancelled):
                await self._withdrawn(draft, work.caller.account_id, recorder)
                admission.refuse(error)
            else:
                await self._failed(draft, work, recorder, exchange, error)
        finally:
            admission.grant()
            self._log.wake(draft.id)

    async def _claimed(self, draft: Draft, account_id: int, admission: "Admission") -> bool | None:
        """Note that it is about to be asked for: from here on it is never begun again. False where it is not to be.

        Tried until the database says; None where this process is to begin nothing more.
        """
        while not self._exchanges.is_cut:
            try:
                async with self._database.begin() as session:
                    return await responses.claim(session, account_id, draft.id, self._log.owner)
            except Unavailable:
                # It is kept and will be made, here or elsewhere: its client is told so, and not to ask once more.
                admission.grant()
            await asyncio.sleep(AGAIN_SECONDS)
        return None

    async def _withdrawn(self, draft: Draft, account_id: int, recorder: Recorder) -> None:
        """Leave nothing of one that may not be made: its client is told so at once."""
        await recorder.stop()
        try:
            async with self._database.begin() as session:
                found = await responses.find(session, account_id, draft.id)
                if found is not None:
                    await responses.remove(session, account_id, found.id)
        except Unavailable:
            # Its lease will be over: then it has failed, though nobody knows its id.
            log.warning("response_unwritten", response_id=draft.id)

    async def _failed(
        self, draft: Draft, work: Work, recorder: Recorder, exchange: StreamedResponse | None, error: LLMBackendError
    ) -> None:
        """Write that nothing came of it."""
        if exchange is not None:
            told = exchange.fail(error)
        else:
            framing = Framing(draft)
            recorder.add(framing.opening(None), framing.number)
            told = draft.end(None, broken(error), None, self._clock.now())
            recorder.add(framing.final(told), framing.number)
        await recorder.stop()
        try:
            async with self._database.begin() as session:
                await run(session, self._asking.keeping(draft, work.caller.account_id, recorder)(None, told))
        except Unavailable:
            # Its lease will be over: then it has failed as well.
            log.warning("response_unwritten", response_id=draft.id)


class Admission:
    """Whether one may be made, as its client is told: once, and whether or not anybody still waits."""

    def __init__(self) -> None:
        self._told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_open(self) -> bool:
        """Whether it is not decided yet."""
        return not self._told.done()

    def grant(self) -> None:
        """It is held back for; or it is known otherwise that it can be asked for later. The first word counts."""
        if not self._told.done():
            self._told.set_result(None)

    def refuse(self, error: Exception) -> None:
        """It may not be made."""
        if not self._told.done():
            self._told.set_exception(error)
            # Retrieved here once, for the case that nobody waits for it any more.
            self._told.exception()

    async def settled(self) -> None:
        """Returns when it is granted. Raises what it was refused by."""
        await asyncio.shield(self._told)

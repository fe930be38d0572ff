"""What a process made that died meanwhile: responses begun again where nothing was asked, all else ended as failed."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.callers import Callers
from llm_backend.domain.clock import Clock
from llm_backend.domain.completions.resumable import died
from llm_backend.domain.responses import before
from llm_backend.domain.responses.asking import Asking
from llm_backend.domain.responses.background import Background
from llm_backend.domain.responses.draft import Draft
from llm_backend.domain.responses.making import Making
from llm_backend.domain.responses.noted import Noted
from llm_backend.domain.work import Work
from llm_backend.errors import InvalidRequest, Json, LLMBackendError, NotFound, Unavailable
from llm_backend.storage import response_events, responses
from llm_backend.storage.driver import run
from llm_backend.storage.response_events import Events
from llm_backend.storage.responses import Response
from llm_backend.streaming.sse import ascii_json, frame

REASON = {"code": "server_error", "message": "The server stopped while this response was being made."}
UNBEGUN = {"code": "server_error", "message": "The server stopped before this response was asked for."}

log = structlog.get_logger("llm_backend.responses")


class Orphans:
    """Looks for them."""

    def __init__(  # noqa: PLR0913, PLR0917 (whom they are made by, and for whom)
        self,
        asking: Asking,
        making: Making,
        background: Background,
        callers: Callers,
        clock: Clock,
        is_draining: Callable[[], bool],
        *,
        alone: bool,
    ) -> None:
        """`is_draining`: whether this process is to begin nothing more.

        `alone`: nobody else has this database open, so that whatever is left in it is nobody's.
        """
        self._asking = asking
        self._making = making
        self._is_alone = alone
        self._background = background
        self._callers = callers
        self._clock = clock
        self._is_draining = is_draining
        self._database = asking.database

    async def sweep(self) -> None:
        """Take over what nobody makes any more. Raises Unavailable."""
        while not self._is_draining() and await self._taken_over():
            pass
        # Whoever comes later is not alone: then this process is there.
        self._is_alone = False

    async def _taken_over(self) -> int:
        """How many that were, of some."""
        async with self._database.begin() as session:
            found = await responses.overdue(session, self._asking.log.owner, others=self._is_alone)
        for each in found:
            # Not what is made here, by a process that was held up for long.
            if not self._making.has(each.public_id) and not self._background.has(each.public_id):
                await self._take_over(each)
        return len(found)

    async def _take_over(self, found: Response) -> None:
        noted = Noted.read(found)
        if found.status == "queued" and noted is not None and not found.is_cancelled:
            await self._again(found, noted)
        else:
            await self._fail(found, REASON)

    async def _again(self, found: Response, noted: Noted) -> None:
        """Make it, as whoever asked for it may still ask."""
        caller = await self._callers.find(found.account_id, found.key_id)
        if caller is None:
            await self._fail(found, UNBEGUN)
            return
        named = f"req_{found.public_id}", "createResponse", "/responses"
        work = Work(caller, *named, noted.body, noted.headers, streamed=True, query=noted.query)
        try:
            draft = await self._asking.drafting.draft(work, found)
        except Unavailable:
            # Its lease will be over once more.
            raise
        except LLMBackendError:
            await self._fail(found, UNBEGUN)
            return
        recorder = self._asking.recorder(draft, found.account_id)
        recorder.number = found.id
        log.info("response_begun_again", response_id=found.public_id)
        self._background.again(draft, work, recorder)

    async def _fail(self, found: Response, reason: Json) -> None:
        """End it: as failed for that reason, or as it was asked to end."""
        status = "cancelled" if found.is_cancelled else "failed"
        body = orjson.loads(found.body) | {"error": None if found.is_cancelled else reason}
        told = {"id": found.public_id, **body, "status": status, "output": [], "metadata": found.metadata}
        async with self._database.begin() as session:
            if await responses.find(session, found.account_id, found.public_id, locks=True) is None:
                return
            await self._tell(session, found, told)
            ended = {
                "status": status,
                "body": orjson.dumps(body),
                "ended_at": self._clock.now(),
                **responses.LET_GO,
                **await self._given(session, found),
            }
            await responses.change(session, found.account_id, found.public_id, ended)
        self._asking.log.wake(found.public_id)
        log.warning("response_abandoned", response_id=found.public_id, account_id=found.account_id)

    async def _given(self, session: AsyncSession, found: Response) -> Mapping[str, Any]:
        """The columns that say where its input stands now; none where that is not known, or what it goes on from."""
        noted = Noted.read(found)
        if noted is None:
            return {}
        try:
            place = await before.place(session, found.account_id, noted.body)
        except (InvalidRequest, NotFound):
            return {}
        draft = Draft(noted.body, noted.given, place, found.created_at, stores=True)
        return await run(session, self._asking.keeping(draft, found.account_id, None).items(None))

    async def _tell(self, session: AsyncSession, found: Response, told: Json) -> None:
        """The last event, behind those that were kept."""
        if found.events_until is None:
            return
        number = await response_events.last(session, found.account_id, found.id) + 1
        is_chat = found.kind == responses.COMPLETION
        frames = died(found.public_id, number) if is_chat else self._ended(number, told)
        await response_events.add(session, found.account_id, found.id, Events(number, number, frames))

    def _ended(self, number: int, told: Json) -> bytes:
        kind = "response.failed" if told["status"] == "failed" else "response.incomplete"
        event = {"type": kind, "sequence_number": number, "response": told}
        if self._asking.judge is not None:
            self._asking.judge.see(event)
        return frame(ascii_json(event), kind)

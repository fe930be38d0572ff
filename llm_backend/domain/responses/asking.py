"""A request for a response: put together with what was said before, and asked of an upstream that need know nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from llm_backend.domain.clock import Clock
from llm_backend.domain.exchange import Exchange
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.responses.draft import Draft
from llm_backend.domain.responses.drafting import Drafting, counted_from
from llm_backend.domain.responses.event_log import EventLog
from llm_backend.domain.responses.exchanges import StreamedResponse, WholeResponse
from llm_backend.domain.responses.judging import Judge
from llm_backend.domain.responses.keeping import Keeping, body, opened
from llm_backend.domain.responses.making import Made, Making
from llm_backend.domain.responses.recording import Recorder
from llm_backend.domain.trades import RESPONSES
from llm_backend.domain.work import Work
from llm_backend.storage.database import Database
from llm_backend.storage.state_writes import state_writes
from llm_backend.upstream.catalogue import Catalogue

E = TypeVar("E", bound=Exchange)


@dataclass(frozen=True, slots=True)
class Desk:
    """What responses are asked with."""

    database: Database
    clock: Clock
    catalogue: Catalogue
    exchanges: Exchanges
    making: Making
    judge: Judge | None
    """Looks at what is told of them; None: nobody does."""
    drafting: Drafting


class Asking:
    """Begins responses."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def whole(self, work: Work) -> WholeResponse:
        """One that comes in one piece. Raises InvalidRequest, NotFound, ModelNotFound, and PermissionDenied."""
        draft = await self.drafting.draft(work)
        return await self._begun(draft, work, partial(WholeResponse, draft))

    async def stream(self, work: Work) -> StreamedResponse:
        """One that comes as events. Raises as `whole`."""
        draft = await self.drafting.draft(work)
        return await self.begun(draft, work, self.recorder(draft, work.caller.account_id) if draft.is_stored else None)

    async def begun(self, draft: Draft, work: Work, recorder: Recorder | None) -> StreamedResponse:
        """The same of a draft. Raises as `whole`."""
        make = partial(StreamedResponse, draft, recorder, limits=self._desk.exchanges.limits)
        exchange = await self._begun(draft, work, make, recorder)
        if recorder is not None:
            self._desk.making.begin(Made(exchange, recorder))
        return exchange

    def recorder(self, draft: Draft, account_id: int) -> Recorder:
        """What keeps the events of a draft."""
        columns = {**opened(draft, account_id), "status": "in_progress", "body": body(draft.told(None))}
        return Recorder(self._desk.making.log, draft.id, account_id, columns, draft.created_at)

    def keeping(self, draft: Draft, account_id: int, recorder: Recorder | None) -> Keeping:
        """What writes a draft."""
        return Keeping(draft, account_id, state_writes(is_sqlite=self.database.is_sqlite), recorder)

    async def check(self, draft: Draft, work: Work) -> None:
        """Raises as `whole` for what cannot be asked of any upstream."""
        plan = await self._desk.catalogue.plan(work.body["model"], work.caller.allows)
        written, asked = RESPONSES.at(plan.route).written, self._asked(draft, work)
        if written is not None:
            with counted_from(draft):
                written(asked.body)

    @property
    def log(self) -> EventLog:
        """Where events are kept."""
        return self._desk.making.log

    @property
    def database(self) -> Database:
        return self._desk.database

    @property
    def judge(self) -> Judge | None:
        """Who looks at what is told; None: nobody does."""
        return self._desk.judge

    @property
    def drafting(self) -> Drafting:
        """What puts them together."""
        return self._desk.drafting

    async def _begun(self, draft: Draft, work: Work, make: Callable[..., E], recorder: Recorder | None = None) -> E:
        if draft.before.is_public:
            # What is said in a conversation is kept there, whether or not the response is.
            work.caller.check_stores("conversation")
        plan = None
        if draft.kept_in is not None:
            plan = self.keeping(draft, work.caller.account_id, recorder)
            if work.once is not None:
                work.once.makes(draft.kept_in)
        asked = self._asked(draft, work)._replace(plan=plan)
        with counted_from(draft):
            return await self._desk.exchanges.begun(asked, RESPONSES, make)

    def _asked(self, draft: Draft, work: Work) -> Work:
        """What an upstream is asked: all of it in one request, which it need not keep."""
        asked = self.drafting.asked(draft, work)
        return asked._replace(body=asked.body | {"store": False} | ({"stream": True} if work.streamed else {}))

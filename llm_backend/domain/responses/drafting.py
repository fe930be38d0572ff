"""What a request for a response comes to: all that was said before it, and all that it says itself."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from llm_backend.domain import items as forms
from llm_backend.domain.additions import Resolved, is_reference, refuse_incomplete, resolved
from llm_backend.domain.bounds import UNKNOWN_CONTEXT, named_cap
from llm_backend.domain.clock import Clock
from llm_backend.domain.prompts import text_bytes
from llm_backend.domain.responses import before
from llm_backend.domain.responses.before import Before, Room
from llm_backend.domain.responses.draft import Draft
from llm_backend.domain.responses.judging import Judge
from llm_backend.domain.responses.requested import refuse_chats_own, refuse_silent
from llm_backend.domain.responses.summaries import Summaries
from llm_backend.domain.work import Work
from llm_backend.errors import InvalidRequest, Json
from llm_backend.storage.database import Database
from llm_backend.storage.responses import Response
from llm_backend.upstream.catalogue import Catalogue

OURS = frozenset({"previous_response_id", "conversation", "background", "metadata", "stream"})
"""Fields that no upstream is asked with as they are: what they name is kept here, or is what this server does."""

SURE_BYTES_A_TOKEN, LIKELY_BYTES_A_TOKEN = 16, 3
"""More bytes than texts have for each token; and fewer than most have."""

ANSWER_SHARE = 4
"""A quarter of a context is left to the answer, where nobody says how long it may be."""

_PLACE = re.compile(r"input\[(\d+)\]")


class Drafting:
    """Puts requests together."""

    def __init__(
        self, database: Database, clock: Clock, catalogue: Catalogue, summaries: Summaries, judge: Judge | None
    ) -> None:
        """`judge`: looks at what is told of them; None: nobody does."""
        self._database = database
        self._clock = clock
        self._catalogue = catalogue
        self._summaries = summaries
        self._judge = judge

    async def draft(self, work: Work, again: Response | None = None) -> Draft:
        """What is known of a response before it is asked for; `again`: as it was known, and noted.

        Raises InvalidRequest, NotFound, ModelNotFound, and PermissionDenied.
        """
        request, caller = work.body, work.caller
        if not isinstance(request, dict) or not isinstance(request.get("model"), str):
            raise InvalidRequest("'model' is required.", param="model", code="missing_required_parameter")
        refuse_chats_own(request)
        if request.get("store") or again is not None:
            # One that was noted is stored: what its account allowed then, it may allow no longer.
            caller.check_stores("store")
        stores = caller.stores and request.get("store") is not False
        goes_on = request.get("previous_response_id") is not None or request.get("conversation") is not None
        found, said = Resolved(_listed(request.get("input"))), Before()
        refuse_incomplete(found.items, "input")
        if goes_on or any(map(is_reference, found.items)):
            room = await self._room(work)
            found, said = await self._database.detached(self._read(caller.account_id, request, found.items, room))
        # What was noted has the ids that it keeps.
        items = forms.given(found.items) if again is None else found.items
        draft = Draft(request, items, said, self._clock.now(), stores=stores, judge=self._judge)
        refuse_silent(draft)
        draft.brought = said.bytes + found.bytes
        if again is not None:
            draft.id, draft.created_at = again.public_id, again.created_at
        return draft

    def asked(self, draft: Draft, work: Work) -> Work:
        """What an upstream is asked that knows nothing of what was said before.

        Raises InvalidRequest for a summary that is not the account's.
        """
        body = {name: value for name, value in draft.request.items() if name not in OURS}
        with counted_from(draft):
            body["input"] = self._summaries.opened(draft.said, work.caller.account_id, "input")
        return work._replace(body=body, brought=draft.brought)

    async def _read(self, account_id: int, request: Json, given: list[Json], room: Room) -> tuple[Resolved, Before]:
        async with self._database.reading() as session:
            said = await before.read(session, account_id, request, room)
            return await resolved(session, account_id, given, "input"), said

    async def _room(self, work: Work) -> Room:
        """How much of what was said before is read, of a model whose context may be known."""
        route = (await self._catalogue.plan(work.body["model"], work.caller.allows)).route
        context = (route.model.context_length if route.model else None) or UNKNOWN_CONTEXT
        if work.body.get("truncation") != "auto":
            return Room(context * SURE_BYTES_A_TOKEN, is_cut=False)
        answer = named_cap(work.body) or context // ANSWER_SHARE
        # What is asked now is left whole.
        return Room(max(0, (context - answer) * LIKELY_BYTES_A_TOKEN - text_bytes(work.body)), is_cut=True)


def _listed(given: Json) -> list[Json]:
    """An input as a list; a text is a user's message."""
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given or ())


@contextmanager
def counted_from(draft: Draft) -> Iterator[None]:
    """Raises what is wrong with an item by its place in the client's own input, in front of which others stand."""
    try:
        yield
    except InvalidRequest as error:
        found = _PLACE.match(error.param or "")
        if found is not None and draft.before.items:
            place = int(found[1]) - len(draft.before.items)
            rest = (error.param or "")[found.end() :]
            named = "conversation" if draft.before.is_public else "previous_response_id"
            error.param = f"input[{place}]{rest}" if place >= 0 else named
        raise

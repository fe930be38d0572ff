"""Responses: asked for, kept, shown again and deleted. One of another account is as none."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.inclusion import shown
from llm_backend.domain.pages import USUAL_LIMIT, Page, Stretch, part
from llm_backend.domain.responses.arrivals import within
from llm_backend.domain.responses.asking import Asking, Desk
from llm_backend.domain.responses.background import Background
from llm_backend.domain.responses.compacting import Compacting, Compaction
from llm_backend.domain.responses.counting import Count, Counting
from llm_backend.domain.responses.exchanges import StreamedResponse, WholeResponse
from llm_backend.domain.responses.noted import unplaced
from llm_backend.domain.responses.reading import Reader
from llm_backend.domain.work import Work
from llm_backend.errors import InvalidRequest, Json, NotFound
from llm_backend.storage import conversations, items, responses
from llm_backend.storage.conversations import THREAD, Conversation
from llm_backend.storage.items import Item, Span
from llm_backend.storage.responses import Response

CANCEL_SECONDS, CANCEL_LOOKS = 5.0, 20
"""How long a cancelled response is waited for, and how often it is looked at meanwhile: another may be making it."""


class Responses:
    """The responses of one database."""

    def __init__(
        self, desk: Desk, asking: Asking, background: Background, counting: Counting, compacting: Compacting
    ) -> None:
        self._desk = desk
        self._asking = asking
        self._background = background
        self._counting = counting
        self._compacting = compacting

    async def whole(self, work: Work) -> WholeResponse:
        """A new one that comes in one piece. Raises as `Asking.whole`."""
        return await self._asking.whole(work)

    async def stream(self, work: Work) -> StreamedResponse:
        """A new one that comes as events. Raises as `Asking.whole`."""
        return await self._asking.stream(work)

    async def count(self, work: Work) -> Count:
        """Find out how many tokens a new one would be asked with. Raises as `Asking.whole`."""
        return await self._counting.begin(work)

    async def compact(self, work: Work) -> Compaction:
        """What was said, made short. Raises as `Asking.whole`."""
        return await self._compacting.begin(work)

    async def begin(self, work: Work) -> dict[str, Json]:
        """A new one that is made in the background; what is told of it at first. Raises as `Asking.whole`."""
        return await self._background.begin(work)

    async def cancel(self, account_id: int, response_id: str) -> dict[str, Json]:
        """Have one ended that is still made; it as it stands then.

        Raises NotFound, and InvalidRequest for one that has ended and was not made in the background.
        """
        making, database = self._desk.making, self._desk.database
        await making.flush(response_id)
        await database.detached(self._cancel(account_id, response_id))
        making.cancel(response_id)
        with making.log.arrivals.of(response_id) as arrival:
            for _ in range(CANCEL_LOOKS):
                arrival.clear()
                found = await self.get(account_id, response_id)
                if found["status"] not in {"queued", "in_progress"}:
                    return found
                await within(arrival, CANCEL_SECONDS / CANCEL_LOOKS)
        return await self.get(account_id, response_id)

    async def events(
        self, account_id: int, response_id: str, starting_after: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Its events behind that number, framed, to its end; while it is made, as they are kept.

        Raises NotFound, and InvalidRequest where they are not kept.
        """
        await self._desk.making.flush(response_id)
        found = await self._desk.database.detached(self._find(account_id, response_id))
        return Reader(self._desk.making.log, found, -1 if starting_after is None else starting_after).blocks()

    async def events_of_begun(self, account_id: int, response_id: str) -> AsyncGenerator[bytes, None]:
        """As `events`, of one in the background whose client was not told of it yet, and cannot be refused any more.

        Its row is looked for when they are first asked for.
        """
        async with aclosing(await self.events(account_id, response_id)) as blocks:
            async for block in blocks:
                yield block

    @property
    def in_background(self) -> int:
        """How many are made in the background, from when they are noted until they are written."""
        return self._background.running

    @property
    def readers(self) -> int:
        """How many clients read events that are kept, of responses and of chat completions."""
        return self._desk.making.log.arrivals.readers

    def release(self) -> None:
        """Have whoever reads events read on elsewhere, but for what has ended."""
        self._desk.making.log.close()

    def cut(self) -> None:
        """The same, once what is made here has ended."""
        self._desk.database.start(self._close_log())

    async def get(self, account_id: int, response_id: str, include: Collection[str] = ()) -> dict[str, Json]:
        """One that is kept, as it was told. Raises NotFound."""
        await self._desk.making.flush(response_id)
        return await self._desk.database.detached(self._get(account_id, response_id, include))

    async def delete(self, account_id: int, response_id: str) -> None:
        """Delete it, what it was given and what it answered; the items of a conversation stay in that.

        Raises NotFound.
        """
        await self._desk.making.flush(response_id)
        await self._desk.database.detached(self._delete(account_id, response_id))

    async def input_items(
        self, account_id: int, response_id: str, *, newest_first: bool, after: str | None, limit: int | None
    ) -> Page[Item]:
        """Some of the items that it was given, behind the item `after`. Raises NotFound."""
        span = Span(limit or USUAL_LIMIT, newest_first=newest_first)
        return await self._desk.database.detached(self._input_items(account_id, response_id, span, after))

    async def _close_log(self) -> None:
        await self._desk.exchanges.settled()
        await self._background.settled()
        self.release()

    async def _cancel(self, account_id: int, response_id: str) -> None:
        async with self._desk.database.begin() as session:
            found = await _own(session, account_id, response_id)
            _refuse_ended(found)
            await responses.cancel(session, account_id, response_id)

    async def _find(self, account_id: int, response_id: str) -> Response:
        async with self._desk.database.reading() as session:
            return await _own(session, account_id, response_id)

    async def _get(self, account_id: int, response_id: str, include: Collection[str]) -> dict[str, Json]:
        async with self._desk.database.reading() as session:
            found = await _own(session, account_id, response_id)
            output = await _between(session, found, found.output_sequence, found.end_sequence)
        response = told(found, output, include)
        if self._desk.judge is not None:
            self._desk.judge.see(response)
        return response

    async def _delete(self, account_id: int, response_id: str) -> None:
        async with self._desk.database.begin() as session:
            # Locked first: whoever writes its end is waited for, and then its items are known.
            found = await _own(session, account_id, response_id, locks=True)
            await responses.remove(session, account_id, found.id)
            if found.conversation_id is None:
                return
            where = await conversations.numbered(session, account_id, found.conversation_id)
            if where is not None and where.kind == THREAD:
                where = await conversations.numbered(session, account_id, where.id, locks=True)
            if where is not None and where.kind == THREAD:
                span = found.first_sequence or 0, found.end_sequence or 0
                await items.remove_between(session, account_id, where.id, *span)
                await _remove_empty(session, where)

    async def _input_items(self, account_id: int, response_id: str, span: Span, after: str | None) -> Page[Item]:
        async with self._desk.database.reading() as session:
            found = await _own(session, account_id, response_id)
            if found.conversation_id is None:
                return _page(unplaced(found), span, after)
            given = Stretch(account_id, found.conversation_id, found.first_sequence or 0, found.output_sequence or 0)
            return await given.page(session, span, after)


def told(found: Response, output: Collection[Item], include: Collection[str] = ()) -> dict[str, Json]:
    """A response as it is shown."""
    return {
        "id": found.public_id,
        **orjson.loads(found.body),
        "status": found.status,
        "output": [shown(item, include) for item in output],
        "metadata": found.metadata,
    }


async def _own(session: AsyncSession, account_id: int, response_id: str, *, locks: bool = False) -> Response:
    found = await responses.find(session, account_id, response_id, locks=locks)
    if found is None or not found.is_stored or found.kind != responses.RESPONSE:
        raise NotFound.of("response_id")
    return found


async def _remove_empty(session: AsyncSession, thread: Conversation) -> None:
    """Delete a thread that holds nothing any more, and then what it went on from, where that holds nothing either."""
    place: Conversation | None = thread
    while place is not None and await conversations.remove_thread(session, place.account_id, place.id):
        parent_id, own = place.parent_id, place.account_id
        place = await conversations.find_public(session, own, parent_id, (THREAD,), locks=True) if parent_id else None


def _refuse_ended(found: Response) -> None:
    # Whoever cancels once more, as the answer was lost, is not refused.
    if found.ended_at is None or found.status == "cancelled" or orjson.loads(found.body)["background"]:
        return
    message = "Cannot cancel a synchronous response: it has ended."
    raise InvalidRequest(message, param="response_id", code="invalid_value")


def _page(given: Sequence[Item], span: Span, after: str | None) -> Page[Item]:
    """Some of what stands in no conversation, each item once. Raises NotFound."""
    once: dict[str, Item] = {}
    for each in given:
        once.setdefault(each.upstream_id or each.public_id, each)
    ids = list(once)[::-1] if span.newest_first else list(once)
    return part([once[each] for each in ids], ids, after, span.limit)


async def _between(session: AsyncSession, found: Response, first: int | None, end: int | None) -> list[Item]:
    if found.conversation_id is None or first is None or end is None or first == end:
        return []
    return await items.between(session, found.account_id, found.conversation_id, first, end)

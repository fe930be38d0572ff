"""Chat completions that are kept: made with `store`, and then listed, shown, changed and deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from llm_backend.domain.clock import Clock
from llm_backend.domain.completions.gathering import GatheredCompletion
from llm_backend.domain.completions.keeping import ID_PREFIX, Asked, Written, joined, kept_item
from llm_backend.domain.completions.messages import messages_of
from llm_backend.domain.identity import Caller
from llm_backend.domain.pages import USUAL_LIMIT, Page, part
from llm_backend.domain.public_ids import random_part
from llm_backend.domain.work import Keeping
from llm_backend.errors import InvalidRequest, Json, NotFound
from llm_backend.storage import completions as storage
from llm_backend.storage.completions import Completion, Sought
from llm_backend.storage.database import Database
from llm_backend.storage.items import Item

MOST_METADATA = 16
"""Entries that one bears at most."""

OURS = frozenset({"metadata"})
"""What of a request no upstream is told: it says how an answer is found here."""


@dataclass(frozen=True, slots=True)
class Paging:
    """Which part of a list is asked for."""

    after: str | None = None
    """The id of what came last before it."""
    limit: int | None = None
    order: str | None = None

    @property
    def most(self) -> int:
        """How many are shown."""
        return self.limit or USUAL_LIMIT

    @property
    def is_newest_first(self) -> bool:
        return self.order == "desc"


class StoredCompletions:
    """Those of one database. One of another account is as none."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def keeping(self, caller: Caller, body: dict[str, Json]) -> Keeping:
        """How the answer to a request with `store` is kept. Raises InvalidRequest where the account keeps nothing."""
        written = self.written(caller, body)
        return Keeping(written.answer_id, written.keep, GatheredCompletion)

    def written(self, caller: Caller, body: dict[str, Json]) -> Written:
        """What writes it. Raises as `keeping`."""
        if not caller.stores:
            raise InvalidRequest("This account keeps no answers: ask without 'store'.", param="store")
        asked = Asked(
            caller.account_id, ID_PREFIX + random_part(), body["model"], body["messages"], body.get("metadata") or {}
        )
        return Written(asked, self._clock)

    async def find(self, account_id: int, completion_id: str) -> Json:
        """The completion. Raises NotFound."""
        return await self._database.detached(self._find(account_id, completion_id))

    async def page(
        self, account_id: int, paging: Paging, model: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> Page[Json]:
        """Those that `model` was asked for, and that bear all of `metadata`, as they were made.

        Raises NotFound for a place that is none.
        """
        return await self._database.detached(self._page(account_id, Sought(model, metadata or {}), paging))

    async def change(self, account_id: int, completion_id: str, metadata: Mapping[str, str]) -> Json:
        """The completion, with other metadata. Raises NotFound."""
        return await self._database.detached(self._change(account_id, completion_id, metadata))

    async def delete(self, account_id: int, completion_id: str) -> None:
        """Forget it, and what it was asked. Raises NotFound."""
        await self._database.detached(self._delete(account_id, completion_id))

    async def messages(self, account_id: int, completion_id: str, paging: Paging) -> Page[Json]:
        """What it was asked. Raises NotFound, for a place that is none too."""
        asked = await self._database.detached(self._messages(account_id, completion_id))
        told = [_message(f"{completion_id}-{at}", each) for at, each in enumerate(asked)]
        shown = told[::-1] if paging.is_newest_first else told
        return part(shown, [each["id"] for each in shown], paging.after, paging.most)

    async def _find(self, account_id: int, completion_id: str) -> Json:
        async with self._database.reading() as session:
            found = _there(await storage.find(session, account_id, completion_id), "completion_id")
            answered = await storage.answered(session, [found])
        return _shown(found, answered)

    async def _page(self, account_id: int, sought: Sought, paging: Paging) -> Page[Json]:
        async with self._database.reading() as session:
            after = None
            if paging.after is not None:
                # What no text column holds is nobody's.
                named = None if "\0" in paging.after else await storage.find(session, account_id, paging.after)
                after = _there(named, "after").id
            sought = replace(sought, after=after, newest_first=paging.is_newest_first)
            is_likely = _may_be_there(sought)
            found = await storage.page(session, account_id, sought, paging.most + 1) if is_likely else []
            shown = found[: paging.most]
            answered = await storage.answered(session, shown)
        return Page([_shown(each, answered) for each in shown], len(found) > paging.most)

    async def _change(self, account_id: int, completion_id: str, metadata: Mapping[str, str]) -> Json:
        async with self._database.begin() as session:
            await storage.change(session, account_id, completion_id, metadata)
            found = _there(await storage.find(session, account_id, completion_id), "completion_id")
            answered = await storage.answered(session, [found])
        return _shown(found, answered)

    async def _delete(self, account_id: int, completion_id: str) -> None:
        async with self._database.begin() as session:
            if not await storage.remove(session, account_id, completion_id):
                raise NotFound.of("completion_id")

    async def _messages(self, account_id: int, completion_id: str) -> list[Json]:
        async with self._database.reading() as session:
            found = _there(await storage.find(session, account_id, completion_id), "completion_id")
            return messages_of([kept_item(row) for row in await storage.asked(session, found)])


def without_ours(body: dict[str, Json]) -> dict[str, Json]:
    """A request as an upstream is asked with it: what is kept here is no business of its."""
    is_ours = OURS | {"store"} if body.get("store") else OURS
    if is_ours.isdisjoint(body):
        return body
    return {name: value for name, value in body.items() if name not in is_ours}


def _there(found: Completion | None, param: str) -> Completion:
    if found is None:
        raise NotFound.of(param)
    return found


def _shown(completion: Completion, answered: Mapping[int, Sequence[Item]]) -> Json:
    said = [kept_item(row).item for row in answered[completion.conversation_id]]
    whole = joined(orjson.loads(completion.body), said)
    return {**whole, "id": completion.public_id, "metadata": completion.metadata}


def _message(message_id: str, message: Json) -> Json:
    """A message as the list has it: its parts stand apart from its text."""
    told = {"refusal": None, "content_parts": None, **message, "id": message_id}
    return told | {"content": None, "content_parts": told["content"]} if isinstance(told["content"], list) else told


def _may_be_there(sought: Sought) -> bool:
    """Whether any completion can be what is sought: no NUL is kept, nor more metadata than the API takes."""
    texts = (sought.model or "", *sought.metadata, *sought.metadata.values())
    return len(sought.metadata) <= MOST_METADATA and not any("\0" in text for text in texts)

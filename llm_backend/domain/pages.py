"""Parts of lists, as they are shown one behind the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.items import OWN_ID
from llm_backend.errors import Json, NotFound
from llm_backend.storage import items
from llm_backend.storage.items import Item, Key, Span

USUAL_LIMIT = 20
"""What is on a page where nothing else is asked."""

PAGE_BYTES = 8 * 1024 * 1024
"""Of the items on a page, where they are more than one."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list."""

    data: Sequence[T] = ()
    has_more: bool = False
    """Whether others follow."""


def listed(page: Page[Json]) -> Json:
    """OpenAI's list of what has ids."""
    ends = (page.data[0]["id"], page.data[-1]["id"]) if page.data else (None, None)
    return {"object": "list", "data": page.data, "first_id": ends[0], "last_id": ends[1], "has_more": page.has_more}


def part(told: Sequence[T], ids: Sequence[str], after: str | None, limit: int) -> Page[T]:
    """Of a list that is there whole, by `ids`, what stands behind the one of the id `after`; NotFound of none."""
    if after is not None and after not in ids:
        raise NotFound.of("after")
    begin = 0 if after is None else ids.index(after) + 1
    return Page(told[begin : begin + limit], begin + limit < len(told))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some of a conversation's items that follow each other."""

    account_id: int
    conversation_id: int
    first: int = 0
    """The sequence at which it begins."""
    end: int | None = None
    """The sequence behind it; None: that of the conversation."""

    async def page(self, session: AsyncSession, span: Span, after: str | None) -> Page[Item]:
        """Some of it, behind the item `after`; each item once, however often a provider's id was given again.

        No more is read than is shown. Raises NotFound.
        """
        span = span._replace(after=self.end if span.newest_first else self.first - 1)
        if after is not None:
            places = await self.places(session, after)
            if not places:
                raise NotFound.of("after")
            span = span._replace(after=min(places.values()))
        # One more tells whether others follow.
        wider, own = span._replace(limit=span.limit + 1), (self.account_id, self.conversation_id)
        found = await items.keys(session, *own, wider, once_from=self.first)
        keys = [key for key in found if self._has(key.sequence)]
        shown = keys[: min(span.limit, max(1, fitting(keys, PAGE_BYTES)))]
        some = await items.numbered(session, self.account_id, [key.id for key in shown])
        data = sorted(some, key=lambda each: each.sequence, reverse=span.newest_first)
        return Page(data, len(shown) < len(keys))

    async def places(self, session: AsyncSession, item_id: str) -> dict[int, int]:
        """The sequence of each item that a client knows by that id, by number: of more than one, the first first."""
        # What can be no id need be no text that a database takes.
        if not OWN_ID.fullmatch(item_id):
            return {}
        found = await items.places(session, self.account_id, self.conversation_id, item_id)
        return {number: at for number, at in found.items() if self._has(at)}

    def _has(self, sequence: int) -> bool:
        return self.first <= sequence and (self.end is None or sequence < self.end)


def fitting(keys: Sequence[Key], most: int) -> int:
    """How many of the first have no more bytes than that together."""
    for count, key in enumerate(keys):
        most -= key.bytes
        if most < 0:
            return count
    return len(keys)

"""Lists of which an account sees its own: the upstream has one for everybody."""

from dataclasses import dataclass, field, replace

import orjson

from llm_backend.domain.answers import Answer
from llm_backend.domain.errands import Errand
from llm_backend.domain.pages import USUAL_LIMIT, Page, listed
from llm_backend.domain.relaying import Place, Relaying, Wish, told
from llm_backend.domain.tally import objects
from llm_backend.errors import Json

MOST_PAGES = 10
"""So many are read of the upstream's list for one of ours."""

PAGE = 100
"""What the upstream is asked for at once: the most that each of its lists gives."""


@dataclass(slots=True)
class Window:
    """What is asked of a list, and what of it was found."""

    limit: int
    left: int
    """How many objects the account has that may yet be found, or more than can be."""
    backwards: bool
    """Whether the list is read from its end, towards what comes before a place."""
    found: list[Json] = field(default_factory=list)
    cursor: str | None = None
    """Where the next page begins; None after the last."""

    def take(self, page: Json, own: list[Json]) -> None:
        """Add what a page has of the account's own."""
        everybody = list(objects(page["data"]))
        self.found = own + self.found if self.backwards else self.found + own
        self.left -= len(own)
        edge = everybody[0 if self.backwards else -1].get("id") if everybody else None
        # An upstream that knows no cursors would give the same page for ever.
        goes_on = page.get("has_more") and isinstance(edge, str) and edge != self.cursor
        self.cursor = edge if goes_on else None

    @property
    def is_over(self) -> bool:
        """Whether no page more can change what is shown."""
        return len(self.found) > self.limit or self.left <= 0 or self.cursor is None

    def shown(self) -> Json:
        """OpenAI's list."""
        data = self.found[-self.limit :] if self.backwards else self.found[: self.limit]
        return listed(Page(data, len(self.found) > self.limit or (self.left > 0 and self.cursor is not None)))


class OwnLists:
    """Reads an upstream's list page by page, until there is enough of the account's own."""

    def __init__(self, relaying: Relaying) -> None:
        self._relaying = relaying

    async def answer(self, errand: Errand, wish: Wish) -> Answer:
        """One page of the account's list. Raises as `Relaying.answer`, NotFound for a cursor that is not its own."""
        if self._relaying.ownership.passes_unknown or errand.lists is None:
            return await self._relaying.answer(errand, wish)
        place = await self._relaying.place(errand, wish)
        async with self._relaying.admitted(wish) as permit:
            window, headers = await self._filled(errand, wish, place, errand.lists)
            return Answer(orjson.dumps(window.shown()), told(headers, permit))

    async def _filled(self, errand: Errand, wish: Wish, place: Place, kind: str) -> tuple[Window, dict[str, str]]:
        account_id = wish.caller.account_id
        ownership = self._relaying.ownership
        backwards = wish.arguments.get("before") is not None and wish.arguments.get("after") is None
        limit = max(1, wish.arguments.get("limit") or USUAL_LIMIT)
        # One more than can be found here: as good as the true number, whatever that is.
        most = MOST_PAGES * PAGE + 1
        window = Window(limit, await ownership.count(account_id, place.upstream.name, kind, most), backwards)
        step = "before" if backwards else "after"
        window.cursor = wish.arguments.get(step)
        headers: dict[str, str] = {}
        for number in range(MOST_PAGES):
            if (number and window.is_over) or window.left <= 0:
                break
            asked = {**wish.arguments, "limit": PAGE} | ({step: window.cursor} if window.cursor else {})
            page, headers = await self._relaying.page(errand, replace(wish, arguments=asked), place)
            there = [each for each in objects(page["data"]) if isinstance(each.get("id"), str)]
            own = await ownership.own(account_id, place.upstream.name, kind, [each["id"] for each in there])
            window.take(page, [each for each in there if each["id"] in own])
        return window, headers

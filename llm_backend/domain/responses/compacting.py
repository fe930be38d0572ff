"""A long talk made short: what its users said, and one item that stands for all the rest."""

from collections.abc import Sequence
from functools import partial

import orjson

from llm_backend.domain.answers import Received, WholeAnswer
from llm_backend.domain.bench import Bench
from llm_backend.domain.contents import JSON
from llm_backend.domain.items import new_id, text
from llm_backend.domain.prompts import text_size
from llm_backend.domain.public_ids import public_id
from llm_backend.domain.responses import shown
from llm_backend.domain.responses.asking import Desk
from llm_backend.domain.responses.draft import Draft
from llm_backend.domain.responses.drafting import counted_from
from llm_backend.domain.responses.summaries import Summaries
from llm_backend.domain.trades import COMPACTIONS, Trade
from llm_backend.domain.work import Work
from llm_backend.errors import Json, UpstreamInvalid
from llm_backend.upstream.routing import Plan


class Compacting:
    """Begins compactions. None is kept: its client gets all of it."""

    def __init__(self, desk: Desk, summaries: Summaries) -> None:
        self._desk = desk
        self._summaries = summaries

    async def begin(self, work: Work) -> "Compaction":
        """One more. Raises as `Asking.whole`."""
        draft = await self._desk.drafting.draft(work)
        if work.once is not None and draft.goes_on_from is not None:
            # It says what users said there: that is told again no longer than it is kept.
            work.once.makes(draft.goes_on_from)
        asked = self._desk.drafting.asked(draft, work)
        make = partial(Compaction, draft, self._summaries)
        with counted_from(draft):
            return await self._desk.exchanges.begun(asked, COMPACTIONS, make)


class Compaction(WholeAnswer):
    """A compaction of the upstream's, or one that is made here of the summary that a chat comes to."""

    def __init__(  # noqa: PLR0913, PLR0917 (what an exchange is made of, and what it makes)
        self, draft: Draft, summaries: Summaries, work: Work, trade: Trade, plan: Plan, bench: Bench
    ) -> None:
        self._draft = draft
        self._summaries = summaries
        super().__init__(work, trade, plan, bench)

    def _understood(self, content: Json, strict: bytes) -> Received:  # noqa: ARG002 (nothing is passed on as it came)
        output = self._draft.output(self._attempts.route)
        output.whole(content)
        items, summary = output.items, ""
        if not self._attempts.route.upstream.manner.has_responses:
            summary = _said(items)
            items = [*_of_users(self._draft.said), self._summaries.sealed(summary, self.work.caller.account_id)]
        usage = content.get("usage")
        told = {
            "id": public_id("resp"),
            "object": "response.compaction",
            "created_at": int(self._draft.created_at.timestamp()),
            "output": items,
            # It is never without, so that where nobody told what was used, it is what is likely.
            "usage": shown.usage(usage) or shown.used_so(self._attempts.guess(text_size(summary))),
        }
        return Received(told, orjson.dumps(told), JSON, usage, summary)


def _said(items: Sequence[dict[str, Json]]) -> str:
    """What a model answered. Raises UpstreamInvalid where it said nothing."""
    said = "".join(text(item["content"]) for item in items if item["type"] == "message")
    if not said.strip():
        raise UpstreamInvalid("The upstream's answer has no summary.", should_retry=False)
    return said


def _of_users(items: Sequence[dict[str, Json]]) -> list[dict[str, Json]]:
    """The messages of users, with ids."""
    messages = [item for item in items if item["type"] == "message" and item["role"] == "user"]
    return [{**message, "id": new_id("message")} for message in messages]

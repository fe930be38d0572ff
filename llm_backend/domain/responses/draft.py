"""One response on its way: what is known of it before an upstream says anything, and what came of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from llm_backend.domain.inclusion import shown_with
from llm_backend.domain.items import asked
from llm_backend.domain.public_ids import public_id
from llm_backend.domain.responses import shown
from llm_backend.domain.responses.before import Before
from llm_backend.domain.responses.chat_output import ChatOutput
from llm_backend.domain.responses.judging import Judge
from llm_backend.domain.responses.native_output import NativeOutput
from llm_backend.domain.responses.outputs import Output
from llm_backend.domain.responses.shown import Outcome
from llm_backend.errors import Json
from llm_backend.upstream.routing import Route

Items = Sequence[dict[str, Json]]


class Draft:
    """Made before anything is asked. What it tells of itself is told to its client, and to whoever reads it again."""

    def __init__(  # noqa: PLR0913 (what is known of it)
        self,
        request: Mapping[str, Json],
        given: Items,
        before: Before,
        now: datetime,
        *,
        stores: bool,
        judge: Judge | None = None,
    ) -> None:
        """`request`: as the client sent it; `given`: its input as items; `stores`: whether it is kept."""
        self.judge = judge
        self.id = public_id("resp")
        self.request = request
        self.given = given
        self.before = before
        self.brought = 0
        """Bytes that were read to what the client sent."""
        self.created_at = now
        self.is_stored = stores
        self.is_background = bool(request.get("background"))
        self.items: Items = ()
        """What came of it, all that is encrypted included; empty until it has ended."""
        self.outcome = shown.IN_PROGRESS
        self.ended_at: datetime | None = None

    @property
    def said(self) -> list[dict[str, Json]]:
        """What was said before, and what is given, as a model is asked with it."""
        return [*self.before.items, *map(asked, self.given)]

    @property
    def kept_in(self) -> str | None:
        """With what it is deleted: its own id, or that of the conversation that its items alone are written to.

        None where nothing of it is written.
        """
        if self.is_stored:
            return self.id
        return self._named

    @property
    def goes_on_from(self) -> str | None:
        """The public id of the response, or of the conversation that was named; None where it begins anew."""
        previous: str | None = self.request.get("previous_response_id")
        return previous or self._named

    @property
    def _named(self) -> str | None:
        where = self.before.conversation
        return where.public_id if where is not None and self.before.is_public else None

    def output(self, route: Route) -> Output:
        """What is to take down what the upstream of `route` says."""
        return NativeOutput(public_id) if route.upstream.manner.has_responses else ChatOutput(public_id)

    def end(self, output: Output | None, outcome: Outcome, usage: Json, now: datetime) -> dict[str, Json]:
        """Note how it ended; what is told of it then."""
        self.items = output.items if output else ()
        self.outcome = outcome
        self.ended_at = now
        return self.told(output, outcome, usage)

    def told(self, output: Output | None, outcome: Outcome | None = None, usage: Json = None) -> dict[str, Json]:
        """The response as it stands; `output`: None before anything came."""
        conversation = self.before.conversation if self.before.is_public else None
        outcome = outcome or self.outcome
        is_complete = self.ended_at is not None and outcome.status == "completed"
        return {
            "id": self.id,
            "object": "response",
            "created_at": _seconds(self.created_at),
            "status": outcome.status,
            "completed_at": _seconds(self.ended_at) if self.ended_at and is_complete else None,
            "error": outcome.error,
            "incomplete_details": None if outcome.reason is None else {"reason": outcome.reason},
            "model": self.request["model"],
            "output": [self.told_item(item) for item in self.items],
            **shown.asked(self.request, output.response if output else None),
            "store": self.is_stored,
            "conversation": None if conversation is None else {"id": conversation.public_id},
            "metadata": self.request.get("metadata") or {},
            "usage": usage,
        }

    def told_item(self, item: dict[str, Json]) -> dict[str, Json]:
        """An item as this client is told it: some of it only where it asked for that."""
        return shown_with(item, self.request.get("include") or ())


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())

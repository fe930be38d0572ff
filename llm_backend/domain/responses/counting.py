"""How many tokens a request for a response would have: asked of whoever counts them, else counted or estimated here."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from llm_backend.domain.errands import Errand, QueryField
from llm_backend.domain.exchanges import Exchanges
from llm_backend.domain.naming import Naming
from llm_backend.domain.relaying import Place, Relaying, Wish, told
from llm_backend.domain.responses.asking import Desk
from llm_backend.domain.responses.draft import Draft
from llm_backend.domain.responses.drafting import counted_from
from llm_backend.domain.trades import RESPONSES
from llm_backend.domain.usage_reports import is_count
from llm_backend.domain.work import Work
from llm_backend.errors import Json, UpstreamInvalid
from llm_backend.upstream.routing import Route

COUNT = Errand(
    "countResponseInputTokens", "POST", "/responses/input_tokens", Naming(), query=(QueryField("beta", "beta"),)
)


class Counting:
    """Counts before anything is asked. It costs nothing, and takes one request of the rate limits."""

    def __init__(self, desk: Desk, relaying: Relaying) -> None:
        self._desk = desk
        self._relaying = relaying

    async def begin(self, work: Work) -> "Count":
        """One more count. Raises as `Asking.whole`."""
        draft = await self._desk.drafting.draft(work)
        asked = self._desk.drafting.asked(draft, work)
        route = (await self._desk.exchanges.plan(asked)).route
        return Count(draft, asked, route, self._desk.exchanges, self._relaying)


@dataclass(frozen=True, slots=True)
class Count:
    """One count, of one request where it would go."""

    draft: Draft
    asked: Work
    route: Route
    exchanges: Exchanges
    relaying: Relaying

    @property
    def upstream(self) -> str | None:
        """Who counts; None: that is done here."""
        upstream = self.route.upstream
        return upstream.name if upstream.manner.has_responses else None

    async def tokens(self) -> tuple[int, Mapping[str, str]]:
        """How many there are, and the headers of the answer.

        Raises RateLimited, InvalidRequest for what cannot be asked, and UpstreamFailed and Overloaded of who counts.
        """
        wish = Wish(self.asked.caller, dict(parse_qsl(self.asked.query)), self.asked.body, self.asked.headers)
        async with self.relaying.admitted(wish) as permit:
            if self.upstream is None:
                with counted_from(self.draft):
                    return await self.exchanges.likely(self.asked, RESPONSES, self.route), permit.headers
            place = Place(self.route.upstream, self.route.upstream_model)
            content, headers = await self.relaying.content(COUNT, wish, place)
            return _tokens(content), told(headers, permit)


def _tokens(content: Json) -> int:
    found = content.get("input_tokens") if isinstance(content, dict) else None
    if is_count(found):
        return found
    raise UpstreamInvalid("The upstream's answer has no input_tokens.", should_retry=False)

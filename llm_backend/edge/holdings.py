"""What an operation that is served here has to do with objects that upstreams keep."""

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from starlette.responses import Response

from llm_backend.domain.errands import Errand
from llm_backend.domain.naming import Look
from llm_backend.domain.ownership import Makings, Recording
from llm_backend.domain.work import Holdings
from llm_backend.edge.call import Call

Handler = Callable[..., Coroutine[Any, Any, Response]]


class Holding:
    """Looks at each request of one operation before its handler does."""

    def __init__(self, errand: Errand, kept_if: tuple[str, ...]) -> None:
        """`kept_if`: fields of the body with one of which the upstream keeps something of the answer."""
        self._errand = errand
        self._kept_if = kept_if
        self._look = Look(errand.naming)

    def before(self, handler: Handler) -> Handler:
        """The handler, for requests that name nothing of another's."""

        @wraps(handler)
        async def held(call: Call, **arguments: Any) -> Response:
            call.holdings = await self._of(call)
            return await handler(call, **arguments)

        return held

    async def _of(self, call: Call) -> Holdings:
        """Raises NotFound for an object that is not the account's own."""
        keeps = bool(self._errand.makes) and isinstance(call.body, dict) and any(map(call.body.get, self._kept_if))
        names = self._look.sees(call.body)
        if call.caller is None or not (keeps or names):
            return call.holdings
        ownership, account_id = call.services.relaying.ownership, call.caller.account_id
        named = self._errand.naming.found(call.body) if names else ()
        where = await ownership.where(account_id, named)
        return Holdings(where, Recording(ownership, account_id, Makings(self._errand.makes)) if keeps else None)

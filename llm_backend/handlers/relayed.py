"""Every operation that the upstream answers for the objects it keeps: one handler, which the contract makes many."""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.responses import Response

from llm_backend.domain.errands import Errand
from llm_backend.domain.identity import Caller
from llm_backend.domain.ownership import Recording
from llm_backend.domain.relaying import Wish, makings
from llm_backend.domain.trades import COMPACTIONS, RESPONSES, Trade
from llm_backend.domain.work import Holdings
from llm_backend.edge.call import Call
from llm_backend.edge.downloads import Downloading
from llm_backend.edge.replies import exchanged
from llm_backend.errors import InvalidRequest

Relayed = Callable[[Call], Coroutine[Any, Any, Response]]

METERED = {("POST", trade.path): trade for trade in (RESPONSES, COMPACTIONS)}
"""What costs tokens: it is reserved and settled as what is served here."""


def relaying(errand: Errand) -> Relayed:
    """The handler of one operation."""
    trade = METERED.get((errand.method, errand.path))

    async def relayed(call: Call) -> Response:
        if call.caller is None:
            raise AssertionError("What an upstream keeps has an owner.")
        wish = Wish(call.caller, call.arguments, call.body, call.headers, call.form)
        if trade is not None:
            return await _metered(call, call.caller, errand, wish, trade)
        if errand.gives == "events" or (errand.gives == "binary" and errand.method == "GET"):
            download = await call.services.relaying.download(errand, wish)
            return Downloading(call, download, is_stream=errand.gives == "events")
        asked = call.services.own_lists if errand.lists else call.services.relaying
        answer = await asked.answer(errand, wish)
        return Response(answer.body, 200, {**answer.headers, "content-type": answer.media_type})

    return relayed


async def _metered(call: Call, caller: Caller, errand: Errand, wish: Wish, trade: Trade) -> Response:
    where = await call.services.relaying.where(errand, wish)
    if call.body is None or not isinstance(call.body.get("model"), str):
        raise InvalidRequest("'model' is required.", param="model", code="missing_required_parameter")
    ownership = call.services.relaying.ownership
    call.holdings = Holdings(where, Recording(ownership, caller.account_id, makings(errand, wish.arguments)))
    call.query = errand.encoded(wish.arguments)
    return await exchanged(call, trade)

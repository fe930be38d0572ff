"""Every operation that the upstream answers for the objects it keeps: one handler, which the contract makes many."""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.responses import Response

from llm_backend.domain.errands import Errand
from llm_backend.domain.relaying import Wish
from llm_backend.edge.call import Call
from llm_backend.edge.downloads import downloading

Relayed = Callable[[Call], Coroutine[Any, Any, Response]]


def relaying(errand: Errand) -> Relayed:
    """The handler of one operation."""

    async def relayed(call: Call) -> Response:
        wish = Wish(call.owner, call.arguments, call.body, call.headers, call.form)
        if errand.gives == "events" or (errand.gives == "binary" and errand.method == "GET"):
            download = await call.services.relaying.download(errand, wish)
            return downloading(call, download, is_stream=errand.gives == "events")
        asked = call.services.own_lists if errand.lists else call.services.relaying
        answer = await asked.answer(errand, wish)
        return Response(answer.body, 200, {**answer.headers, "content-type": answer.media_type})

    return relayed

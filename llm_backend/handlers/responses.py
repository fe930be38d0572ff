"""`/v1/responses`."""

from collections.abc import Collection

from starlette.responses import Response

from llm_backend.edge.call import Call
from llm_backend.edge.conversations import page_of_items
from llm_backend.edge.downloads import events
from llm_backend.edge.replies import answered, json_reply, told
from llm_backend.errors import Json

PATH = "/responses"
BETA = "beta=true"
"""The query of those that are asked for as the beta has them."""


async def create_response(call: Call) -> Response:
    """Answer one request: whole, or as events where the caller asked for a stream."""
    wanted = _wanted(call)
    if wanted.get("background"):
        return await _begun(call)
    if wanted.get("stream"):
        return await told(call, await call.services.responses.stream(call.work(PATH, streamed=True)))
    return await answered(call, await call.services.responses.whole(call.work(PATH, streamed=False)))


async def compact_response(call: Call) -> Response:
    """What was said, made short. It is not kept."""
    _wanted(call)
    return await answered(call, await call.services.responses.compact(call.work(f"{PATH}/compact", streamed=False)))


async def count_response_input_tokens(call: Call) -> Response:
    """How many tokens a request would be asked with."""
    _wanted(call)
    count = await call.services.responses.count(call.work(f"{PATH}/input_tokens", streamed=False))
    if count.upstream is not None:
        call.log["upstream"] = count.upstream
    tokens, headers = await count.tokens()
    return json_reply({"object": "response.input_tokens", "input_tokens": tokens}, headers=headers)


async def get_response(
    call: Call,
    response_id: str,
    include: Collection[str] = (),
    stream: bool = False,  # noqa: FBT001, FBT002 (a parameter of the query)
    starting_after: int | None = None,
) -> Response:
    """One that is kept, or its events again behind the number `starting_after`. Raises NotFound."""
    if not stream:
        return json_reply(await call.services.responses.get(call.owner.account_id, response_id, include))
    return events(call, await call.services.responses.events(call.owner.account_id, response_id, starting_after))


async def cancel_response(call: Call, response_id: str) -> Response:
    """End one that is still made. Raises NotFound, and InvalidRequest for one that is not to be."""
    call.makes(response_id)
    return json_reply(await call.services.responses.cancel(call.owner.account_id, response_id))


async def delete_response(call: Call, response_id: str) -> Response:
    """Delete one, with what it was given and what it answered. Raises NotFound."""
    await call.services.responses.delete(call.owner.account_id, response_id)
    return json_reply({"id": response_id, "object": "response", "deleted": True})


async def list_input_items(  # noqa: PLR0913, PLR0917 (each is a parameter of the query)
    call: Call,
    response_id: str,
    after: str | None = None,
    include: Collection[str] = (),
    limit: int | None = None,
    order: str = "desc",
) -> Response:
    """Some of what one was given, behind the item `after`. Raises NotFound."""
    page = await call.services.responses.input_items(
        call.owner.account_id, response_id, newest_first=order == "desc", after=after, limit=limit
    )
    return json_reply(page_of_items(page, include))


def _wanted(call: Call) -> Json:
    """What is asked for, noted for the log; and in which variant, for whoever has that too."""
    wanted = call.body or {}
    call.log["model"] = wanted.get("model")
    if call.arguments.get("beta"):
        call.query = BETA
    return wanted


async def _begun(call: Call) -> Response:
    """One that goes on without its client: as it is at first, or its events as they are kept."""
    streams = bool(call.body.get("stream"))
    begun = await call.services.responses.begin(call.work(PATH, streamed=True))
    call.makes(begun["id"])
    if not streams:
        return json_reply(begun)
    blocks = call.services.responses.events_of_begun(call.owner.account_id, begun["id"])
    return events(call, blocks, events_of=begun["id"])


create_beta_response = create_response
compact_beta_response = compact_response
count_beta_response_input_tokens = count_response_input_tokens
get_beta_response = get_response
cancel_beta_response = cancel_response
delete_beta_response = delete_response
list_beta_response_input_items = list_input_items

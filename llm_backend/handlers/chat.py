"""`/v1/chat/completions`: answered by upstreams, and kept here where that is asked for."""

from starlette.responses import Response

from llm_backend.domain.completions.stored import Paging, without_ours
from llm_backend.domain.pages import listed
from llm_backend.domain.trades import CHAT
from llm_backend.edge.call import Call
from llm_backend.edge.downloads import events
from llm_backend.edge.replies import exchanged, json_reply, told
from llm_backend.edge.resuming import LAST_EVENT_ID, RESUMABLE, is_resumable
from llm_backend.errors import Json


async def create_chat_completion(call: Call) -> Response:
    """Answer one turn: whole, or as events where the caller asked for a stream. Kept where `store` says so.

    Of a stream that can be resumed, the rest where that is asked for.
    """
    if LAST_EVENT_ID in call.headers:
        rest = await call.services.resumable.rest(call.owner.account_id, call.headers[LAST_EVENT_ID])
        return events(call, rest)
    if RESUMABLE in call.headers and is_resumable(call):
        call.log["model"] = call.body["model"]
        return await told(call, await call.services.resumable.stream(call.work(CHAT.path, streamed=True)))
    if call.body.get("store"):
        call.keeping = call.services.completions.keeping(call.owner, call.body)
        call.makes(call.keeping.answer_id)
    call.body = without_ours(call.body)
    return await exchanged(call, CHAT)


async def list_chat_completions(  # noqa: PLR0913 (the operation's parameters)
    call: Call,
    *,
    after: str | None = None,
    limit: int | None = None,
    metadata: dict[str, str] | None = None,
    model: str | None = None,
    order: str | None = None,
) -> Response:
    """Those that the account has kept. Raises NotFound for a place in the list that is none."""
    stored, paging = call.services.completions, Paging(after, limit, order)
    return json_reply(listed(await stored.page(call.owner.account_id, paging, model, metadata)))


async def get_chat_completion(call: Call, completion_id: str) -> Response:
    """One that was kept. Raises NotFound."""
    return json_reply(await call.services.completions.find(call.owner.account_id, completion_id))


async def update_chat_completion(call: Call, completion_id: str, body: Json) -> Response:
    """The same with other metadata. Raises NotFound."""
    stored = call.services.completions
    call.makes(completion_id)
    return json_reply(await stored.change(call.owner.account_id, completion_id, body["metadata"] or {}))


async def delete_chat_completion(call: Call, completion_id: str) -> Response:
    """Forget one. Raises NotFound."""
    await call.services.completions.delete(call.owner.account_id, completion_id)
    return json_reply({"id": completion_id, "object": "chat.completion.deleted", "deleted": True})


async def get_chat_completion_messages(
    call: Call, completion_id: str, after: str | None = None, limit: int | None = None, order: str | None = None
) -> Response:
    """What one was asked. Raises NotFound, for a place among the messages that is none too."""
    stored, paging = call.services.completions, Paging(after, limit, order)
    return json_reply(listed(await stored.messages(call.owner.account_id, completion_id, paging)))

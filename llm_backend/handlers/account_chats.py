"""The chats of any account, for the administrator, who reads and asks nothing."""

from starlette.responses import Response

from llm_backend.edge import chats
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply


async def list_account_chats(call: Call, account_id: int) -> Response:
    """All of one account, closed or not, by number. Raises NotFound."""
    await call.services.directory.of(account_id)
    return json_reply([chats.chat(each) for each in await call.services.chats.of_account(account_id)])


async def list_account_chat_messages(
    call: Call, account_id: int, chat_id: int, after: int | None = None, limit: int | None = None
) -> Response:
    """Those of one of its chats, oldest first: all, or `limit` behind the message `after`.

    Raises NotFound, NoSuchChat.
    """
    await call.services.directory.of(account_id)
    found = await call.services.chats.messages(account_id, chat_id, after, limit)
    return json_reply([chats.message(each) for each in found])

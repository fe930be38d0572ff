"""`/api/chats`, for the account whose key it is."""

from starlette.responses import Response

from llm_backend.domain.asking import Question
from llm_backend.domain.chats import PREFIXES
from llm_backend.domain.histories import Messages
from llm_backend.edge import chats
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.errors import Json


async def list_chats(call: Call, name: str = "") -> Response:
    """Those of this account, by number."""
    found = await call.services.chats.of_account(call.owner.account_id, name)
    return json_reply([chats.chat(each) for each in found])


async def create_chat(call: Call, body: Json) -> Response:
    """A new one. Raises UnknownModelType, and InvalidRequest where nothing is kept for the account."""
    prefixes = {name: body[name] for name in PREFIXES if name in body}
    kind = {"model_type": body["model_type"]} if "model_type" in body else {}
    made = await call.services.chats.create(call.owner, body["name"], prefixes=prefixes, **kind)
    call.makes(made.public_id)
    return json_reply(chats.chat(made), 201)


async def list_chat_messages(call: Call, chat_id: int, after: int | None = None, limit: int | None = None) -> Response:
    """Those of one chat, oldest first: all, or `limit` behind the message `after`. Raises NoSuchChat."""
    found = await call.services.chats.messages(call.owner.account_id, chat_id, after, limit)
    return json_reply([chats.message(each) for each in found])


async def ask_chat(call: Call, chat_id: int, body: Json) -> Response:
    """The model's answer, kept with its question. Raises NoSuchChat, BudgetReached, UpstreamFailed."""
    question = Question(body["content"], body.get("instruction"), body.get("model_args", {}))
    ask = call.services.chats.ask(call.work(Messages.trade.path, streamed=False), chat_id, question, call.once)
    return json_reply(await chats.answered(call, ask), 201)


async def count_chat_messages(call: Call, chat_id: int) -> Response:
    """How many messages one chat has. Raises NoSuchChat."""
    return json_reply({"num_messages": await call.services.chats.count(call.owner.account_id, chat_id)})


async def get_chats_budget(call: Call) -> Response:
    """What the account has used, and how much it may."""
    used, limit = await call.services.chats.budget(call.owner.account_id)
    return json_reply({"usage": used, "limit": limit})

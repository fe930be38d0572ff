"""`/api/usage` and the explanation of budgets: for the administrator, and for each account of its own."""

from starlette.responses import Response

from llm_backend.domain.explanations import MOST_LINES
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.edge.reports import explained, reported, wanted


async def get_usage(call: Call, account_id: int | None = None) -> Response:
    """What anyone used. Raises InvalidRequest."""
    return await reported(call, wanted(call, "account", account_id=account_id))


async def get_own_usage(call: Call) -> Response:
    """What the caller used. Raises InvalidRequest."""
    return await reported(call, wanted(call, "day", account_id=call.owner.account_id))


async def explain_budget(call: Call, account_id: int, limit: int = MOST_LINES, end_user: str | None = None) -> Response:
    """What the account's budgets are made of. Raises NotFound."""
    return json_reply(explained(account_id, await call.services.explanations.of(account_id, limit, end_user)))


async def explain_own_budget(call: Call, limit: int = MOST_LINES, end_user: str | None = None) -> Response:
    """What the caller's budgets are made of. Raises NotFound."""
    account_id = call.owner.account_id
    return json_reply(explained(account_id, await call.services.explanations.of(account_id, limit, end_user)))

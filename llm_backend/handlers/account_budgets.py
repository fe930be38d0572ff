"""`/api/accounts/{account_id}/budgets`, for the administrator."""

from starlette.responses import Response

from llm_backend.edge.account_bodies import rules
from llm_backend.edge.accounts import author, budget
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.errors import Json


async def list_account_budgets(call: Call, account_id: int) -> Response:
    """That of the whole account, then the others. Raises NotFound."""
    return json_reply([budget(each) for each in await call.services.budgets.of_account(account_id)])


async def get_account_budget(call: Call, account_id: int, subject: str) -> Response:
    """One of them. Raises NotFound."""
    return json_reply(budget(await call.services.budgets.of(account_id, subject)))


async def put_account_budget(call: Call, account_id: int, subject: str, body: Json) -> Response:
    """It, made or changed. Raises NoSuchAccount, and NotFound for a key of another account."""
    return json_reply(budget(await call.services.budgets.put(account_id, subject, rules(body), author(call))))


async def delete_account_budget(call: Call, account_id: int, subject: str) -> Response:
    """It, without limits. Raises NoSuchAccount, and NotFound where there is none."""
    return json_reply(budget(await call.services.budgets.remove(account_id, subject, author(call))))

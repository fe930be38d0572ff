"""`/api/accounts/{account_id}/budgets` and `…/end_users`, for the administrator."""

from starlette.responses import Response

from llm_backend.edge.account_bodies import rules
from llm_backend.edge.accounts import author, budget
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.errors import Json


async def list_account_budgets(call: Call, account_id: int) -> Response:
    """That of the whole account, then those of keys and models. Raises NotFound."""
    return json_reply([budget(each) for each in await call.services.budgets.of_account(account_id)])


async def list_end_user_budgets(call: Call, account_id: int, after: str = "", limit: int = 100) -> Response:
    """Those of the end users behind `after`, by id. Raises NotFound."""
    found = await call.services.budgets.of_end_users(account_id, after, limit)
    return json_reply([budget(each) for each in found])


async def get_account_budget(call: Call, account_id: int, subject: str) -> Response:
    """One of them. Raises NotFound."""
    return json_reply(budget(await call.services.budgets.of(account_id, subject)))


async def put_account_budget(call: Call, account_id: int, subject: str, body: Json) -> Response:
    """It, made or changed. Raises NoSuchAccount, and NotFound for a key of another account."""
    return json_reply(budget(await call.services.budgets.put(account_id, subject, rules(body), author(call))))


async def delete_account_budget(call: Call, account_id: int, subject: str) -> Response:
    """It, without limits. Raises NoSuchAccount, and NotFound where there is none."""
    return json_reply(budget(await call.services.budgets.remove(account_id, subject, author(call))))

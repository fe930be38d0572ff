"""`/api/users`, for the administrator."""

from starlette.responses import Response

from llm_backend.edge.account_bodies import code_of
from llm_backend.edge.accounts import author, person
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.errors import Json


async def list_users(call: Call) -> Response:
    """All of them with their accounts, by code."""
    return json_reply([person(user, profile) for user, profile in await call.services.directory.people()])


async def create_user(call: Call, body: Json) -> Response:
    """A new one. Raises CodeTaken, NoSuchAccount."""
    services, account = call.services, body.get("account_id")
    account_id = None if account is None else int(account)
    user = await services.users.create(code_of(body["code"]), body.get("name"), account_id, author(call))
    profile = None if account_id is None else await services.directory.of(account_id)
    return json_reply(person(user, profile), 201)

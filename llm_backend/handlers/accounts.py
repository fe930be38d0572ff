"""`/api/accounts`, for the administrator."""

import re
from typing import cast

from starlette.responses import Response

from llm_backend.domain.accounts import Changes, Terms
from llm_backend.domain.directory import Wanted
from llm_backend.edge.accounts import account, author
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.errors import InvalidRequest, Json

_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,18}\s*", re.ASCII)


async def list_accounts(call: Call, active: str = "true", usage: str | None = None, name: str = "") -> Response:
    """Those that are open, or those that are closed, by name."""
    if usage is not None and not _WHOLE.fullmatch(usage):
        raise InvalidRequest(f"Usage {usage} is not a valid integer", param="usage")
    wanted = Wanted(active.lower() == "true", name, None if usage is None else int(usage))
    return json_reply([account(profile) for profile in await call.services.directory.search(wanted)])


async def create_account(call: Call, body: Json) -> Response:
    """A new one with its first key, told this once. Raises NameTaken, NoSuchUser."""
    services = call.services
    made, key = await services.accounts.create_with_key(body["name"], services.keys, author(call), **_terms(body))
    return json_reply(account(await services.directory.of(made.id), key.text), 201)


async def get_account(call: Call, account_id: int) -> Response:
    """One, closed or not. Raises NotFound."""
    return json_reply(account(await call.services.directory.of(account_id)))


async def update_account(call: Call, account_id: int, body: Json) -> Response:
    """It, changed. Raises NoSuchAccount where it is none or closed, NameTaken, NoSuchUser."""
    named = {"name": body["name"]} if "name" in body else {}
    changes = cast("Changes", {**_terms(body), **named})
    await call.services.accounts.update(account_id, changes, author(call))
    return json_reply(account(await call.services.directory.of(account_id)))


async def delete_account(call: Call, account_id: int) -> Response:
    """It, closed. Raises NoSuchAccount."""
    await call.services.accounts.close(account_id, author(call))
    call.services.authentication.forget()
    return json_reply(account(await call.services.directory.of(account_id)))


def _terms(body: Json) -> Terms:
    terms: Terms = {}
    if "course" in body:
        terms["course"] = body["course"]
    if "budget" in body:
        # 1e3 is a whole number too.
        terms["token_limit"] = None if body["budget"] is None else int(body["budget"])
    if body.get("users") is not None:
        terms["users"] = [int(user) for user in body["users"]]
    return terms

"""`/api/accounts/{account_id}/keys` and `/api/keys`, for the administrator."""

from starlette.responses import Response

from llm_backend.domain import leaks
from llm_backend.edge.account_bodies import key_changes
from llm_backend.edge.accounts import author, finding, key, new_key
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.errors import Json


async def list_keys(call: Call, account_id: int, after: str | None = None, limit: int | None = None) -> Response:
    """The account's, oldest first: all, or `limit` behind the key `after`. Raises NotFound."""
    profile = await call.services.directory.of(account_id)
    return json_reply([key(each) for each in await call.services.keys.of_account(profile.account.id, after, limit)])


async def create_key(call: Call, account_id: int, body: Json) -> Response:
    """Another one, told this once. Raises NotFound where the account is none or closed."""
    made = await call.services.keys.create(account_id, by=author(call), **key_changes(body or {}))
    return json_reply(new_key(made), 201)


async def get_key(call: Call, account_id: int, key_id: str) -> Response:
    """One, in use or not. Raises NotFound where it is another account's."""
    return json_reply(key(await call.services.keys.find(key_id, account_id)))


async def update_key(call: Call, account_id: int, key_id: str, body: Json) -> Response:
    """It, changed. Raises NotFound where it is another account's."""
    changes = key_changes(body)
    changed = await call.services.keys.update(key_id, changes, account_id=account_id, by=author(call))
    call.services.authentication.forget()
    return json_reply(key(changed))


async def rotate_key(call: Call, account_id: int, key_id: str, body: Json) -> Response:
    """A new one in its place, told this once. Raises NotFound where it is another account's."""
    grace = int((body or {}).get("grace_seconds", 0))
    made = await call.services.keys.rotate(key_id, grace_seconds=grace, account_id=account_id, by=author(call))
    call.services.authentication.forget()
    return json_reply(new_key(made), 201)


async def revoke_key(call: Call, account_id: int, key_id: str) -> Response:
    """It, refused from now on. Raises NotFound where it is another account's."""
    revoked = await call.services.keys.revoke(key_id, account_id=account_id, by=author(call))
    call.services.authentication.forget()
    return json_reply(key(revoked))


async def report_leaked_keys(call: Call, body: Json) -> Response:
    """What became of each: those of this server are refused from now on."""
    findings = await leaks.report(call.services.keys, body["api_keys"], author(call))
    call.services.authentication.forget()
    return json_reply([finding(each) for each in findings])

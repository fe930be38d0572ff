"""`/api/accounts/{account_id}/keys`, for the administrator."""

from starlette.responses import Response

from llm_backend.domain.identity import EVERY_SCOPE
from llm_backend.edge.accounts import author, key, moment, new_key
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply
from llm_backend.errors import Json


async def list_keys(call: Call, account_id: int) -> Response:
    """The account's, oldest first. Raises NotFound."""
    profile = await call.services.directory.of(account_id)
    return json_reply([key(each) for each in await call.services.keys.of_account(profile.account.id)])


async def create_key(call: Call, account_id: int, body: Json) -> Response:
    """Another one, told this once. Raises NotFound where the account is none or closed."""
    asked = body or {}
    expiry = asked.get("expires_at")
    made = await call.services.keys.create(
        account_id,
        asked.get("name", ""),
        scopes=asked.get("scopes", EVERY_SCOPE),
        expires_at=None if expiry is None else moment(expiry, "expires_at"),
        by=author(call),
    )
    return json_reply(new_key(made), 201)


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

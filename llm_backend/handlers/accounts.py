"""`/api/accounts`, for the administrator."""

import re

from starlette.responses import Response

from llm_backend.domain.directory import Profile, Wanted
from llm_backend.edge import account_bodies
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
    return json_reply(await _readable(call, await call.services.directory.search(wanted)))


async def create_account(call: Call, body: Json) -> Response:
    """A new one with its first key, told this once. Raises NameTaken, NoSuchUser."""
    services, terms = call.services, account_bodies.terms(body)
    made, key = await services.accounts.create_with_key(body["name"], services.keys, author(call), **terms)
    return json_reply(account(await services.directory.of(made.id), key.text), 201)


async def create_accounts(call: Call, body: Json) -> Response:
    """Many with their first keys, told this once, or none. Raises BatchRefused."""
    rows = [account_bodies.row(each) for each in body["accounts"]]
    made = await call.services.batches.create(rows, author(call))
    profiles = await call.services.directory.of_many([each.id for each, _ in made])
    texts = {each.id: key.text for each, key in made}
    return json_reply([account(profile, texts[profile.account.id]) for profile in profiles], 201)


async def get_account(call: Call, account_id: int) -> Response:
    """One, closed or not. Raises NotFound."""
    [found] = await _readable(call, [await call.services.directory.of(account_id)])
    return json_reply(found)


async def update_account(call: Call, account_id: int, body: Json) -> Response:
    """It, changed. Raises NoSuchAccount where it is none or closed, NameTaken, NoSuchUser."""
    await call.services.accounts.update(account_id, account_bodies.changes(body), author(call))
    call.services.authentication.forget()
    return json_reply(account(await call.services.directory.of(account_id)))


async def delete_account(call: Call, account_id: int) -> Response:
    """It, closed. Raises NoSuchAccount."""
    await call.services.accounts.close(account_id, author(call))
    call.services.authentication.forget()
    return json_reply(account(await call.services.directory.of(account_id)))


async def count_chats_of_account(call: Call, account_id: int) -> Response:
    """How many it has; none where it is no account."""
    return json_reply({"num_chats": await call.services.directory.chats(account_id)})


async def _readable(call: Call, profiles: list[Profile]) -> list[Json]:
    """The accounts, with their keys in full where keys are kept so that they can be read."""
    texts = await call.services.keys.read([profile.key for profile in profiles if profile.key], author(call))
    return [account(profile, texts.get(profile.key.public_id) if profile.key else None) for profile in profiles]

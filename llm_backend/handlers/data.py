"""All of one account's or user's data, for the administrator."""

from dataclasses import asdict

from starlette.responses import Response

from llm_backend.edge.accounts import author
from llm_backend.edge.call import Call
from llm_backend.edge.files import FileReply
from llm_backend.edge.replies import json_reply


async def export_account(call: Call, account_id: int) -> Response:
    """Everything of it, as JSON lines. Raises NotFound."""
    file = await call.services.exports.spooled(account_id)
    return FileReply(file, "application/jsonl", f"account-{account_id}.jsonl")


async def erase_account(call: Call, account_id: int) -> Response:
    """What went with it. Raises NotFound, StillRunning."""
    try:
        return json_reply(asdict(await call.services.erasure.account(account_id, author(call))))
    finally:
        # It is closed, even where it cannot be erased yet.
        call.services.authentication.forget()


async def erase_user(call: Call, user_id: int) -> Response:
    """What went with the user. Raises NotFound, StillRunning."""
    return json_reply(asdict(await call.services.erasure.user(user_id, author(call))))

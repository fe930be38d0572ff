"""`/api/audit`, for the administrator."""

from starlette.responses import Response

from llm_backend.edge.accounts import change
from llm_backend.edge.call import Call
from llm_backend.edge.replies import json_reply


async def list_audit(
    call: Call, limit: int = 100, target_kind: str | None = None, target_id: str | None = None
) -> Response:
    """Who changed what, the newest first."""
    found = await call.services.directory.changes(limit, target_kind, target_id)
    return json_reply([change(record) for record in found])

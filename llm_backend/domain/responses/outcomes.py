"""How responses ended, in the words that responses have for it."""

from llm_backend.domain.responses.outputs import Output
from llm_backend.domain.responses.shown import Outcome
from llm_backend.errors import (
    BudgetExhausted,
    Json,
    LLMBackendError,
    RanAway,
    RateLimited,
    ResponseCancelled,
    UpstreamRejected,
)
from llm_backend.upstream.refusals import Refusals

BROKEN = "server_error"
LIMITED = "rate_limit_exceeded"
"""The one word that a failed response has for whatever an account may not."""

CODES = frozenset(
    {
        *(BROKEN, LIMITED, "invalid_prompt", "data_residency_mismatch", "bio_policy", "misalignment_policy_violation"),
        *("vector_store_timeout", "invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url"),
        *("image_too_large", "image_too_small", "image_parse_error", "image_content_policy_violation"),
        *("invalid_image_mode", "image_file_too_large", "unsupported_image_media_type", "empty_image_file"),
        *("failed_to_download_image", "image_file_not_found"),
    }
)
"""Why a response may have failed; whatever else an upstream calls it is a `server_error`."""

UNKEPT = Outcome("failed", error={"code": BROKEN, "message": "The response could not be kept."})


def outcome_of(output: Output, refusals: Refusals) -> Outcome:
    """How an answer ended that came to its end; `refusals`: how its upstream's words may be told."""
    told = output.response or {}
    status = told.get("status")
    if status == "failed":
        return _failed(told.get("error"), refusals)
    if status == "cancelled":
        return _because("The upstream cancelled the response.")
    if status in ("queued", "in_progress"):
        return _because("The upstream left the response unfinished.")
    reason = output.incomplete_reason
    is_incomplete = status == "incomplete" or (status != "completed" and reason is not None)
    return Outcome("incomplete", reason) if is_incomplete else Outcome("completed")


def broken(error: LLMBackendError) -> Outcome:
    """How one ended that did not."""
    if isinstance(error, ResponseCancelled):
        return Outcome("cancelled")
    if isinstance(error, RanAway):
        return Outcome("incomplete", "max_output_tokens")
    if isinstance(error, RateLimited | BudgetExhausted):
        return _because(str(error), LIMITED)
    return _because(str(error), error.code if isinstance(error, UpstreamRejected) else BROKEN)


def _failed(error: Json, refusals: Refusals) -> Outcome:
    """By what an upstream says of its own failure: its message is told where the request was at fault."""
    parts = error if isinstance(error, dict) else {}
    code = parts.get("code")
    is_of_request = isinstance(code, str) and code in CODES - {BROKEN}
    found = refusals.told({**parts, "type": "invalid_request_error"} if is_of_request else parts)
    return _because(str(found), found.code) if isinstance(found, UpstreamRejected) else _because("The upstream failed.")


def _because(message: str, code: str | None = BROKEN) -> Outcome:
    return Outcome("failed", error={"code": code if code in CODES else BROKEN, "message": message})

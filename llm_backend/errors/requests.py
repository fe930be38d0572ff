"""What is wrong with a request, or with asking it now."""

from collections.abc import Mapping
from typing import Self

from llm_backend.errors.root import LLMBackendError


class InvalidRequest(LLMBackendError):
    """The request is wrong; `param` is the path of the field, as `messages[1].content[0].text`."""

    type = "invalid_request_error"
    code = "invalid_value"


class InvalidJson(InvalidRequest):
    """The body is not strict JSON: one value, UTF-8, no duplicate keys, bounded depth and numbers."""

    code = "invalid_json"


class InvalidForm(InvalidRequest):
    """The body is no multipart form that this server reads."""

    code = "invalid_form"


class UnsupportedMediaType(InvalidRequest):
    """The body's media type, charset or content encoding is not read here."""

    code = "unsupported_media_type"


class RequestTooLarge(InvalidRequest):
    """The body, or a part of it, is larger than the operation takes."""

    code = "request_too_large"


class HeadersTooLarge(InvalidRequest):
    """Too many header lines, or too many bytes of them."""

    code = "headers_too_large"


class RequestTimedOut(InvalidRequest):
    """The client stopped sending before the request was complete."""

    code = "request_timeout"


class IdempotencyKeyReused(InvalidRequest):
    """The idempotency key was sent before, with another request."""

    code = "idempotency_key_reused"


class MethodNotAllowed(InvalidRequest):
    """The path is known, the method is not; `allowed` are those that are."""

    code = "method_not_allowed"

    def __init__(self, message: str, allowed: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.allowed = allowed


class Conflict(InvalidRequest):
    """The request is right, but not as things stand now."""

    code = "conflict"


class NotFound(InvalidRequest):
    """No such thing for this account: a foreign one answers exactly the same."""

    code = "not_found"

    @classmethod
    def of(cls, param: str) -> Self:
        """Of what the parameter names, whose value is not repeated."""
        return cls(f"Not found: what '{param}' names does not exist or is not this account's.", param=param)


class ModelNotFound(NotFound):
    """The model does not exist, or the key may not use it."""

    code = "model_not_found"


class Unauthenticated(LLMBackendError):
    """Malformed, unknown, revoked or expired: the caller is not told which. Only a missing key is told as such."""

    type = "invalid_request_error"
    code = "invalid_api_key"

    def __init__(self, message: str = "Incorrect API key provided.") -> None:
        super().__init__(message)


class PermissionDenied(LLMBackendError):
    """A valid key, but not for this."""

    type = "permission_error"
    code = "insufficient_permissions"


class EndUserUnproven(Unauthenticated):
    """The frontend's word for whom it asks is not signed as it has to be, or has expired."""

    code = "invalid_end_user_token"


class TooManyEndUsers(PermissionDenied):
    """The account has as many end users with budgets as it may have."""

    code = "too_many_end_users"

    def __init__(self) -> None:
        super().__init__("This account has as many end users as it may have: one more cannot be given a budget.")


class ResponseCancelled(Conflict):
    """Somebody asked that it should not be made to its end."""

    code = "response_cancelled"

    def __init__(self, message: str = "The response was cancelled.") -> None:
        super().__init__(message)


class IdempotencyConflict(LLMBackendError):
    """Another request with the same idempotency key stands in the way; `code` says how."""

    type = "conflict_error"


class RateLimited(LLMBackendError):
    """Too much in too short a time; `headers` say how much there may be."""

    type = "requests"
    code = "rate_limit_exceeded"

    def __init__(
        self,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        retry_after_seconds: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds, should_retry=should_retry)
        self.headers = headers or {}


class TokensLimited(RateLimited):
    """Too many tokens in a minute."""

    type = "tokens"


class BudgetExhausted(LLMBackendError):
    """What is left of a budget does not cover what the request may cost; nothing was sent anywhere.

    `waits`: whether only running requests stand in the way, so that it may fit a moment later.
    """

    type = "insufficient_quota"
    code = "insufficient_quota"

    def __init__(self, message: str, *, waits: bool = False) -> None:
        super().__init__(message, retry_after_seconds=1 if waits else None, should_retry=waits)
        self.headers: Mapping[str, str] = {}
        """How the budget stands, for the answer."""


class KeyRevoked(LLMBackendError):
    """The key, or its account, was taken away while the answer ran."""

    type = "invalid_request_error"
    code = "key_revoked"

    def __init__(self, message: str = "The key was revoked.") -> None:
        super().__init__(message)

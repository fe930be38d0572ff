"""Everything that can go wrong on purpose.

LLMBackendError
├── InvalidRequest              the request is wrong; `code` says how, `param` says where
│   ├── InvalidJson             the body is no JSON that this server reads
│   ├── UnsupportedMediaType    the body is in a media type or encoding that this server does not read
│   ├── RequestTooLarge         more bytes than the operation takes
│   ├── HeadersTooLarge         more headers than the server takes
│   ├── RequestTimedOut         the client did not finish sending
│   ├── IdempotencyKeyReused    a key that was used for another request
│   ├── MethodNotAllowed        the path exists, the method does not
│   ├── Conflict                not as things stand now
│   └── NotFound                no such thing, or another account's
│       └── ModelNotFound
├── Unauthenticated             no key, or not one of ours: one text for every cause
├── PermissionDenied            a good key that may not do this
├── IdempotencyConflict         what was asked for is under way, or its result cannot be told again
├── RateLimited                 too many requests in a minute, or at once
│   └── TokensLimited           too many tokens in a minute
├── BudgetExhausted             the account's budget does not allow it
├── RanAway                     an upstream that did not stop
├── KeyRevoked                  its key was taken away while the answer ran
├── NotServed                   an operation of the document that this server does not answer
├── ClientLeft                  nobody is there to be told; for the records
├── Internal                    a fault of our own
├── Unavailable                 not now; try again
│   ├── DatabaseUnavailable
│   ├── LimitsAway              the shared rate limits, where nothing may pass without them
│   ├── Overloaded
│   └── Draining
└── UpstreamFailed              who answers for us did not
    ├── UpstreamUnreachable     no connection, or it broke
    ├── UpstreamTimedOut        no answer in time
    ├── UpstreamBroken          5xx
    ├── UpstreamAuthFailed      our own key was refused
    ├── UpstreamInvalid         an answer that is no answer
    └── UpstreamRejected        a 4xx about the request itself, passed on

Errors know what to say; `edge/problems.py` alone knows which status each one has.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

Json = Any
"""A JSON value as parsed: dict, list, str, int, float, bool or None."""

MESSAGE_LIMIT = 300
"""No message is longer, in characters: it may not become a way to send data back."""


class LLMBackendError(Exception):
    """Base of every error raised on purpose. Its message is shown to the caller."""

    type: ClassVar[str] = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_seconds: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.param = param
        if code is not None:
            self.code = code
        self.retry_after_seconds = retry_after_seconds
        self.should_retry = should_retry
        """What `x-should-retry` tells the SDKs; None leaves it to their own rule."""

    def envelope(self) -> Json:
        """Write this error as OpenAI's `ErrorResponse`."""
        message = str(self)[:MESSAGE_LIMIT]
        return {"error": {"message": message, "type": self.type, "param": self.param, "code": self.code}}


class InvalidRequest(LLMBackendError):
    """The request is wrong; `param` is the path of the field, as `messages[1].content[0].text`."""

    type = "invalid_request_error"
    code = "invalid_value"


class InvalidJson(InvalidRequest):
    """The body is not strict JSON: one value, UTF-8, no duplicate keys, bounded depth and numbers."""

    code = "invalid_json"


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

    def __init__(
        self, message: str = "The budget does not cover what this request may cost.", *, waits: bool = False
    ) -> None:
        super().__init__(message, retry_after_seconds=1 if waits else None, should_retry=waits)


class RanAway(LLMBackendError):
    """The upstream went on past what was reserved for its answer."""

    type = "insufficient_quota"
    code = "budget_exhausted"

    def __init__(self, message: str = "The upstream went on past the answer's limit, and was cut.") -> None:
        super().__init__(message)


class KeyRevoked(LLMBackendError):
    """The key, or its account, was taken away while the answer ran."""

    type = "invalid_request_error"
    code = "key_revoked"

    def __init__(self, message: str = "The key was revoked.") -> None:
        super().__init__(message)


class NotServed(LLMBackendError):
    """The document describes the operation; this server does not answer it."""

    code = "not_served"

    def __init__(self, message: str) -> None:
        super().__init__(message, should_retry=False)


class ClientLeft(LLMBackendError):
    """The client closed its connection, or stopped reading, before the answer was complete."""

    code = "client_disconnected"

    def __init__(self, message: str = "The client has gone.") -> None:
        super().__init__(message)


class Internal(LLMBackendError):
    """A fault of this server; the details are in its log, under the request's id."""

    code = "internal_error"

    def __init__(self, message: str = "The server had an error while processing your request.") -> None:
        super().__init__(message)


class Unavailable(LLMBackendError):
    """Not now; the client may try again."""

    code = "overloaded"


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached, is locked, or did not answer in time."""

    code = "database_unavailable"

    def __init__(self, message: str = "The database is not available.", *, retry_after_seconds: int = 2) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class LimitsAway(Unavailable):
    """The shared rate limits do not answer, and nothing may pass without them."""

    code = "limits_unavailable"

    def __init__(self, message: str = "The rate limits are not available.") -> None:
        super().__init__(message, retry_after_seconds=1)


class Overloaded(Unavailable):
    """More work than this process takes, or no upstream that may be tried."""

    def __init__(self, message: str = "The server is overloaded.", *, retry_after_seconds: int = 1) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


class Draining(Unavailable):
    """The server is shutting down."""

    code = "draining"

    def __init__(self, message: str = "The server is shutting down.") -> None:
        super().__init__(message, retry_after_seconds=5)


class UpstreamFailed(LLMBackendError):
    """The upstream did not answer as it should.

    `outcome_unknown`: the request may have been worked on, so it may cost something.
    `retriable`: another attempt may help and cannot cost twice.
    `upstream_status`: the status it sent, None where it sent none.
    """

    code: str | None = "upstream_error"

    def __init__(  # noqa: PLR0913 (what may be said of a failure, each by name)
        self,
        message: str,
        *,
        outcome_unknown: bool = False,
        retriable: bool = False,
        upstream_status: int | None = None,
        retry_after_seconds: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds, should_retry=should_retry)
        self.outcome_unknown = outcome_unknown
        self.retriable = retriable
        self.upstream_status = upstream_status


class UpstreamUnreachable(UpstreamFailed):
    """No connection to the upstream, or it broke."""

    code = "upstream_unreachable"


class UpstreamTimedOut(UpstreamFailed):
    """The upstream did not begin, go on or end in time."""

    code = "upstream_timeout"


class UpstreamBroken(UpstreamFailed):
    """The upstream answered with a server error."""


class UpstreamAuthFailed(UpstreamFailed):
    """The upstream refused this server's own credentials; its text is never passed on."""

    code = "upstream_auth_failed"

    def __init__(self, *, upstream_status: int) -> None:
        message = "The upstream refused this server's credentials; its operator has to mend that."
        super().__init__(message, upstream_status=upstream_status, should_retry=False)


class UpstreamInvalid(UpstreamFailed):
    """What the upstream sent is not an answer: wrong media type, broken JSON or events, too large."""

    code = "upstream_invalid_response"


class UpstreamRejected(UpstreamFailed):
    """The upstream refused the request for a reason of the request's own; its words are redacted and cut."""

    def __init__(  # noqa: PLR0913 (an error of OpenAI has these five parts, and its status)
        self,
        message: str,
        *,
        upstream_status: int,
        error_type: str,
        code: str | None,
        param: str | None = None,
        retry_after_seconds: int | None = None,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(
            message,
            upstream_status=upstream_status,
            retry_after_seconds=retry_after_seconds,
            should_retry=should_retry,
        )
        self.param = param
        self.code = code
        self.error_type = error_type

    def envelope(self) -> Json:
        """As the upstream put it: its message (up to a kilobyte), type, param and code."""
        error = {"message": str(self)[:1024], "type": self.error_type, "param": self.param, "code": self.code}
        return {"error": error}

"""What goes wrong, as HTTP: the one table from error to status, and the one way an error is written."""

import json
from collections.abc import Callable, Iterator

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import Scope

from llm_backend.edge.signposts import Signposts
from llm_backend.errors import (
    MESSAGE_LIMIT,
    BudgetExhausted,
    Conflict,
    HeadersTooLarge,
    IdempotencyConflict,
    IdempotencyKeyReused,
    Internal,
    InvalidRequest,
    KeyRevoked,
    LLMBackendError,
    MethodNotAllowed,
    NotFound,
    NotServed,
    PermissionDenied,
    RanAway,
    RateLimited,
    RequestTimedOut,
    RequestTooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
    UpstreamFailed,
    UpstreamRejected,
    UpstreamTimedOut,
)

STATUS: dict[type[LLMBackendError], int] = {
    InvalidRequest: 400,
    Unauthenticated: 401,
    KeyRevoked: 401,
    PermissionDenied: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    RequestTimedOut: 408,
    Conflict: 409,
    IdempotencyConflict: 409,
    RequestTooLarge: 413,
    UnsupportedMediaType: 415,
    IdempotencyKeyReused: 422,
    RateLimited: 429,
    BudgetExhausted: 429,
    HeadersTooLarge: 431,
    LLMBackendError: 500,
    Internal: 500,
    NotServed: 501,
    UpstreamFailed: 502,
    RanAway: 502,
    Unavailable: 503,
    UpstreamTimedOut: 504,
}
"""The nearest ancestor in this table decides. `UpstreamRejected` alone brings its own status."""

_REFUSALS: dict[int, Callable[[], LLMBackendError]] = {
    401: Unauthenticated,
    403: lambda: PermissionDenied("This key may not do that."),
    413: lambda: RequestTooLarge("The body is too large."),
    415: lambda: UnsupportedMediaType("This operation does not read bodies of this media type."),
}


def status_of(error: LLMBackendError) -> int:
    """Find the HTTP status of `error`."""
    if isinstance(error, UpstreamRejected) and error.upstream_status is not None:
        return error.upstream_status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


_PLAIN_TEXTS: dict[type[LLMBackendError], str] = {
    Unauthenticated: "Access Denied",
    PermissionDenied: "Access Denied",
    Internal: "Server Error",
}
"""What the clients of the plain style expect to read, whatever the cause."""


def render(error: LLMBackendError, request_id: str, *, plainly: bool = False) -> Response:
    """Write `error` as the answer to the request, in OpenAI's envelope or, `plainly`, as `{"error": "<text>"}`."""
    # Escaped throughout: an upstream's message may hold a lone surrogate, which no encoding takes.
    body = json.dumps({"error": _text(error)} if plainly else error.envelope()).encode("ascii")
    headers = {"x-request-id": request_id, **_headers(error)}
    return Response(body, status_of(error), headers, media_type="application/json")


def _text(error: LLMBackendError) -> str:
    return next((text for kind, text in _PLAIN_TEXTS.items() if isinstance(error, kind)), str(error)[:MESSAGE_LIMIT])


def _headers(error: LLMBackendError) -> dict[str, str]:
    headers = {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = ", ".join(error.allowed)
    if isinstance(error, RateLimited | BudgetExhausted):
        headers.update(error.headers)
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    return headers


def understood(error: Exception, scope: Scope, request_id: str, signposts: Signposts) -> LLMBackendError:
    """Say in our words what `error` is. What is nobody's purpose is an Internal, and is logged with its traceback.

    `scope` is the one that was given to the application: in it the path's methods are found.
    """
    if isinstance(error, LLMBackendError):
        return error
    known = _refused(error, scope, signposts) if isinstance(error, HTTPException) else None
    if known is None:
        log = structlog.get_logger("llm_backend.problems")
        log.error("unexpected_error", request_id=request_id, exc_info=error)
        return Internal()
    return known


def _refused(error: HTTPException, scope: Scope, signposts: Signposts) -> LLMBackendError | None:
    """Translate what the routers and Connexion raise; never their own text, which quotes the request."""
    status = error.status_code
    if status == 404:  # noqa: PLR2004 (the one that is told by its path's neighbours)
        return signposts.unknown(scope["path"])
    if status == 405:  # noqa: PLR2004 (the one that is told by its path's methods)
        return MethodNotAllowed("The path does not have this method.", _allowed(error, scope))
    if status in _REFUSALS:
        return _REFUSALS[status]()
    if 400 <= status < 500:  # noqa: PLR2004 (the client's errors)
        return InvalidRequest("The request does not fit the operation.")
    return None


def _allowed(error: HTTPException, scope: Scope) -> tuple[str, ...]:
    """List every method of the path: the router's own header names those of its first route only."""
    pristine = {"type": "http", "method": "", "path": scope["path"], "root_path": "", "headers": []}
    methods = set(_methods(scope["app"].routes, pristine)) if "app" in scope else set()
    methods = methods or set((error.headers or {}).get("Allow", "").replace(" ", "").split(","))
    return tuple(sorted(methods - {"HEAD", ""}))


def _methods(routes: list[BaseRoute], scope: Scope) -> Iterator[str]:
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.NONE:
            continue
        if isinstance(route, Route):
            yield from route.methods or ()
        elif isinstance(route, Mount):
            yield from _methods(route.routes, {**scope, **child})

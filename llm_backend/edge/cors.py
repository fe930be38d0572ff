"""Cross-origin requests: outermost, so that errors and streams carry the headers too."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
MAX_AGE_SECONDS = 600
_RATE = tuple(
    f"x-ratelimit-{what}-{unit}" for what in ("limit", "remaining", "reset") for unit in ("requests", "tokens")
)
_BUDGET = tuple(f"x-budget-{what}-{unit}" for what in ("limit", "used", "remaining") for unit in ("tokens", "microusd"))
# By name: browsers take no wildcard here, with credentials none at all.
EXPOSED = ", ".join(
    (
        "x-request-id",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "content-disposition",
        "openai-processing-ms",
        "openai-version",
        *_RATE,
        *_BUDGET,
        "x-budget-warning",
        "idempotent-replayed",
        "x-llm-backend-model",
        "x-llm-backend-upstream",
        "deprecation",
        "sunset",
        "link",
    )
)
ANY = "*"
PREFLIGHT = "llm_backend.preflight"
"""Where the answer to a preflight stands in the scope: the guard sends it as it sends all answers."""


class Cors:
    """Lets the pages of `origins` read the answers; of any origin, but without its cookies, where one of them is `*`.

    Without origins there is not one header more. Keys travel in `Authorization`, which the page itself sets: cookies
    and other credentials of the browser mean nothing here, so they are never allowed.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._origins:
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        granted = self._granted(asked.get("origin"))
        if scope["method"] == "OPTIONS" and "origin" in asked and "access-control-request-method" in asked:
            answer = _preflight(asked.get("access-control-request-headers"), is_granted=granted is not None)
            scope = {**scope, PREFLIGHT: answer}

        async def send_granting(message: Message) -> None:
            if message["type"] == "http.response.start":
                _grant(MutableHeaders(scope=message), granted)
            await send(message)

        await self._app(scope, receive, send_granting)

    def _granted(self, origin: str | None) -> str | None:
        if ANY in self._origins:
            return ANY
        return origin if origin in self._origins else None


def _preflight(headers_asked: str | None, *, is_granted: bool) -> Response:
    """Answered before authentication: browsers send no key with the question."""
    headers = {"vary": "Access-Control-Request-Headers"}
    if is_granted:
        headers["access-control-allow-methods"] = METHODS
        headers["access-control-max-age"] = str(MAX_AGE_SECONDS)
        if headers_asked:
            headers["access-control-allow-headers"] = headers_asked
    return Response(headers=headers)


def _grant(headers: MutableHeaders, granted: str | None) -> None:
    headers.add_vary_header("Origin")
    if granted is not None:
        headers["access-control-allow-origin"] = granted
        headers["access-control-expose-headers"] = EXPOSED

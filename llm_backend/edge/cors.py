"""Cross-origin requests: outermost, so that errors and streams carry the headers too."""

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

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
        "x-stream-id",
        "x-llm-backend-model",
        "x-llm-backend-upstream",
        "deprecation",
        "sunset",
        "link",
    )
)
ANY = b"*"
GRANTED = "llm_backend.granted"
"""Where the headers stand in the scope by which a page may read the answer: every answer carries them."""
PREFLIGHT = "llm_backend.preflight"
"""Where the answer to a preflight stands in the scope: the guard sends it as it sends all answers."""
VARY = (b"vary", b"Origin")
EXPOSING = (b"access-control-expose-headers", EXPOSED.encode())


class Cors:
    """Lets the pages of `origins` read the answers; of any origin, but without its cookies, where one of them is `*`.

    Without origins there is not one header more. Keys travel in `Authorization`, which the page itself sets: cookies
    and other credentials of the browser mean nothing here, so they are never allowed.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._origins:
            origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
            granted = self._granted(origin)
            scope[GRANTED] = [VARY] if granted is None else [VARY, (b"access-control-allow-origin", granted), EXPOSING]
            if scope["method"] == "OPTIONS" and origin is not None:
                asked = Headers(scope=scope)
                if "access-control-request-method" in asked:
                    headers_asked = asked.get("access-control-request-headers")
                    scope[PREFLIGHT] = _preflight(headers_asked, is_granted=granted is not None)
        await self._app(scope, receive, send)

    def _granted(self, origin: bytes | None) -> bytes | None:
        return ANY if ANY in self._origins else origin if origin in self._origins else None


def _preflight(headers_asked: str | None, *, is_granted: bool) -> Response:
    """Answered before authentication: browsers send no key with the question."""
    headers = {"vary": "Access-Control-Request-Headers"}
    if is_granted:
        headers["access-control-allow-methods"] = METHODS
        headers["access-control-max-age"] = str(MAX_AGE_SECONDS)
        if headers_asked:
            headers["access-control-allow-headers"] = headers_asked
    return Response(headers=headers)

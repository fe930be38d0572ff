"""Security as Connexion asks for it: each scheme of the document names who checks it."""

from collections.abc import Awaitable, Callable
from typing import Any

from connexion.lifecycle import ConnexionRequest
from connexion.security import AbstractSecurityHandler

from llm_backend.domain.identity import Caller
from llm_backend.edge.call import Call
from llm_backend.errors import PermissionDenied, Unauthenticated

Check = Callable[[Call, str | None], Awaitable[Caller | None]]
"""Takes the call and its bearer token; gives the caller (None for the administrator) or raises."""


async def as_account(call: Call, token: str | None) -> Caller:
    """The account whose key the token is; in open mode, the one account there is."""
    return await call.services.authentication.account(token)


async def as_admin(call: Call, token: str | None) -> None:
    """Nobody, for the administrator has no account.

    Raises Unauthenticated where the token is not the administrator's, or none is configured, and PermissionDenied where
    it is the key of an account.
    """
    try:
        call.services.admin.check(token)
    except Unauthenticated:
        if await call.services.authentication.recognises(token):
            raise PermissionDenied("This is the administrator's; the key of an account does not open it.") from None
        raise


CHECKS: dict[str, Check] = {"account": as_account, "admin": as_admin}
"""By the `x-authenticate` of a security scheme."""


class Bearer(AbstractSecurityHandler):
    """The `http` `bearer` schemes, whichever of CHECKS stands behind each."""

    def get_fn(self, security_scheme: dict[str, Any], required_scopes: list[str]) -> Any:
        """The function that Connexion calls on each request of an operation."""
        check = CHECKS[security_scheme["x-authenticate"]]
        wanted = frozenset(required_scopes)

        async def verify(request: ConnexionRequest) -> dict[str, Any]:
            call = Call.of(request.scope)
            caller = await check(call, bearer_token(call.headers.get("authorization")))
            if caller is not None:
                call.caller = caller
                if not wanted <= caller.scopes:
                    raise PermissionDenied("This key does not have the scope that the operation needs.")
            return {}

        return verify


def bearer_token(header: str | None) -> str | None:
    """The token of an `Authorization` header; None where there is none, or another scheme.

    Refusing is left to whoever wants a token: an open door takes any header.
    """
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


SECURITY_MAP = {"bearer": Bearer}

"""Security as Connexion asks for it: each scheme of the document names who checks it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from connexion.lifecycle import ConnexionRequest
from connexion.security import AbstractSecurityHandler

from llm_backend.domain.end_users import EndUser, EndUserTerms
from llm_backend.domain.identity import Caller
from llm_backend.domain.key_text import is_ours
from llm_backend.domain.lockout import Lockout
from llm_backend.edge.call import Call
from llm_backend.errors import PermissionDenied, RateLimited, Unauthenticated

ADMINISTERED = "/api/"
"""Where there are operations of either kind, and who mistakes one for the other is told."""

Check = Callable[[Call, str | None], Awaitable[Caller | None]]
"""Takes the call and its bearer token; gives the caller (None for the administrator) or raises."""


async def as_account(call: Call, token: str | None) -> Caller:
    """The account whose key the token is; in open mode, the one account there is.

    Raises Unauthenticated, and below `/api`, where the administrator's token is known too, PermissionDenied for that.
    Where the key is a trusted frontend's, EndUserUnproven and InvalidRequest for an end user who cannot be named so.
    """
    try:
        caller = await call.services.authentication.account(token)
    except Unauthenticated:
        if call.path.startswith(ADMINISTERED) and _is_admins(call, token):
            raise PermissionDenied("This takes the key of an account, not the administrator's token.") from None
        raise
    return caller if caller.end_users is None else _asking_for(call, caller, caller.end_users)


def _asking_for(call: Call, caller: Caller, terms: EndUserTerms) -> Caller:
    """The caller, with the end user whom its headers name."""
    named = call.services.frontends.named(call.headers)
    return caller if named is None else replace(caller, end_user=EndUser(named, terms))


async def as_admin(call: Call, token: str | None) -> None:
    """Nobody, for the administrator has no account.

    Raises Unauthenticated where the token is not the administrator's, or none is configured, PermissionDenied where it
    is the key of an account, and RateLimited where too many wrong ones came from there.
    """
    admin = call.services.admin
    admin.guesses.check(call.client)
    try:
        admin.check(token)
    except Unauthenticated:
        if await call.services.authentication.recognises(token):
            raise PermissionDenied("This is the administrator's; the key of an account does not open it.") from None
        _note(admin.guesses, call, token)
        raise


def _is_admins(call: Call, token: str | None) -> bool:
    """Whether the token is the administrator's; nobody is told who tries too many."""
    admin = call.services.admin
    try:
        admin.confusions.check(call.client)
        admin.check(token)
    except RateLimited:
        return False
    except Unauthenticated:
        _note(admin.confusions, call, token)
        return False
    return True


def _note(lockout: Lockout, call: Call, token: str | None) -> None:
    """Count a wrong token. A key of ours, revoked or mistaken, is no guess at another token, and nothing is none."""
    if token is not None and not is_ours(token):
        lockout.note(call.client)


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

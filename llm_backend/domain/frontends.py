"""For whom a trusted frontend asks: a header says so, or a token that the frontend has signed."""

import hmac
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from llm_backend.domain.clock import Clock
from llm_backend.domain.end_users import checked_id
from llm_backend.errors import EndUserUnproven

ID = "X-OpenWebUI-User-Id"
SIGNED = "X-OpenWebUI-User-Jwt"

ALGORITHM = "HS256"
TOKEN_LIMIT = 8 * 1024
LEEWAY_SECONDS = 60
"""How far the frontend's clock may be from ours."""

UNSIGNED = EndUserUnproven(f"{SIGNED} is not signed with this server's FRONTEND_JWT_SECRET by {ALGORITHM}.")


class Frontends:
    """Reads who is named by the headers of a request whose key is trusted to name someone."""

    def __init__(self, secret: str | None, clock: Clock) -> None:
        """`secret`: what frontends sign with; None where their plain headers are believed."""
        self._secret = secret.encode() if secret else None
        self._clock = clock

    def named(self, headers: Mapping[str, str]) -> str | None:
        """The id of whom `headers` (lower case) name; None where they name nobody.

        Raises InvalidRequest for what is no id, and EndUserUnproven for a token that proves nothing.
        """
        token = headers.get(SIGNED.lower())
        if token is not None:
            return self._proven(token)
        plain = headers.get(ID.lower())
        if plain is None or self._secret is not None:
            return None
        return checked_id(unquote(plain), ID)

    def _proven(self, token: str) -> str:
        if self._secret is None:
            raise EndUserUnproven(f"{SIGNED} cannot be checked: FRONTEND_JWT_SECRET is not set.")
        claims = _claims(token, self._secret)
        now = self._clock.now().timestamp()
        if _moment(claims, "exp") <= now - LEEWAY_SECONDS:
            raise EndUserUnproven(f"{SIGNED} has expired.")
        if "nbf" in claims and _moment(claims, "nbf") > now + LEEWAY_SECONDS:
            raise EndUserUnproven(f"{SIGNED} is not valid yet.")
        name = claims.get("sub")
        return checked_id(name if isinstance(name, str) else "", f"{SIGNED}.sub")


def _claims(token: str, secret: bytes) -> dict[str, Any]:
    """What a token says that was signed with `secret`. Raises EndUserUnproven."""
    head, _, rest = token.partition(".")
    body, _, signature = rest.partition(".")
    if not token.isascii() or len(token) > TOKEN_LIMIT:
        raise UNSIGNED
    own = hmac.digest(secret, f"{head}.{body}".encode(), "sha256")
    if not hmac.compare_digest(own, _bytes(signature)):
        raise UNSIGNED
    # Signed or not, what names another way of signing is not read as if it were ours.
    told = _object(head)
    if told.get("alg") != ALGORITHM or "crit" in told:
        raise UNSIGNED
    return _object(body)


def _object(part: str) -> dict[str, Any]:
    try:
        found = orjson.loads(_bytes(part))
    except orjson.JSONDecodeError:
        raise UNSIGNED from None
    if not isinstance(found, dict):
        raise UNSIGNED
    return found


def _bytes(part: str) -> bytes:
    try:
        return b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise UNSIGNED from None


def _moment(claims: dict[str, Any], name: str) -> float:
    """Seconds since 1970. Raises EndUserUnproven where it is none: what never expires is no proof of now."""
    found = claims.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise EndUserUnproven(f"{SIGNED} does not say when it expires, or says it wrongly.")
    return found

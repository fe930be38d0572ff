"""Keys that were found where they should not be."""

from dataclasses import dataclass
from hmac import compare_digest
from typing import Literal

from llm_backend.domain.audit import Author
from llm_backend.domain.keys import Keys
from llm_backend.errors import NotFound, Unauthenticated

Status = Literal["revoked", "already_revoked", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one text that was reported. The text itself is told to nobody again."""

    status: Status
    key_id: str | None = None
    account_id: int | None = None


UNKNOWN = Finding("unknown")


async def report(keys: Keys, texts: list[str], by: Author) -> list[Finding]:
    """Revoke those of `texts` that are keys of this server, expired ones too; what is none changes nothing.

    Each in a transaction of its own: asked again after a failure, what was done is told as such.
    """
    return [await _judged(keys, text.strip(), by) for text in texts]


async def _judged(keys: Keys, text: str, by: Author) -> Finding:
    try:
        public_id, digest = keys.identify(text)
        key = await keys.find(public_id)
    except (Unauthenticated, NotFound):
        return UNKNOWN
    if not compare_digest(key.digest, digest):
        # Whoever knows a key's public id alone may not end it.
        return UNKNOWN
    if key.revoked_at is not None:
        return Finding("already_revoked", public_id, key.account_id)
    await keys.revoke(public_id, by=by, operation="revoke_leaked")
    return Finding("revoked", public_id, key.account_id)

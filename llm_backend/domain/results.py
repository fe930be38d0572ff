"""Answers kept to be told again: encrypted, each for the holder and key it was given to."""

from dataclasses import dataclass

from llm_backend.domain.encryption import Cipher
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import Internal, NotFound
from llm_backend.storage.idempotency import Claim

RESULT_LIMIT = 1 << 20
"""Bytes of a body that is kept."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it was told, and will be told again."""

    status: int
    content_type: str
    body: bytes
    events_of: str | None = None
    """The response whose events are told, as they are kept with it: then there is no body."""


class ResultDamaged(Internal):
    """The result is there, and is not what was kept."""

    def __init__(self) -> None:
        super().__init__("The answer to the first request with this idempotency key cannot be read any more.")
        self.should_retry = False


class ResultDeleted(NotFound):
    """What the first request made is gone, and what was told of it with it."""

    code = "idempotency_result_deleted"

    def __init__(self, param: str) -> None:
        message = "What the first request with this idempotency key made was deleted. It is not made again."
        super().__init__(message, param=param, should_retry=False)


class Results:
    """Encrypts under a secret of its own; what was kept for one holder and key opens for no other."""

    def __init__(self, secrets: Secrets) -> None:
        self._cipher = Cipher(secrets.derive("idem-seal"))

    def seal(self, told: Told, claim: Claim) -> bytes | None:
        """All but the status, encrypted; None where the body is too large to keep."""
        if len(told.body) > RESULT_LIMIT:
            return None
        plain = b"\n".join((told.content_type.encode(), (told.events_of or "").encode(), told.body))
        return self._cipher.seal(plain, _context(claim))

    def open(self, status: int, sealed: bytes, claim: Claim) -> Told | None:
        """The answer that was sealed with this status; None where this is not what was sealed."""
        plain = self._cipher.open(sealed, _context(claim))
        if plain is None:
            return None
        content_type, events_of, body = plain.split(b"\n", 2)
        return Told(status, content_type.decode(), body, events_of.decode() or None)


def _context(claim: Claim) -> bytes:
    return claim.holder.encode() + b"\0" + claim.key_hash

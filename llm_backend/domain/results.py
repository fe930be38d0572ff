"""Answers kept to be told again: encrypted, each for the holder and key it was given to."""

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from llm_backend.domain.secrets import Secrets
from llm_backend.storage.idempotency import Claim

RESULT_LIMIT = 1 << 20
"""Bytes of a body that is kept."""

NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it was told, and will be told again."""

    status: int
    content_type: str
    body: bytes


class Results:
    """AES-256-GCM under a secret of its own; what was kept for one holder and key opens for no other."""

    def __init__(self, secrets: Secrets) -> None:
        self._cipher = AESGCM(secrets.derive("idem-seal"))

    def seal(self, told: Told, claim: Claim) -> bytes | None:
        """Media type and body, encrypted; None where the body is too large to keep."""
        if len(told.body) > RESULT_LIMIT:
            return None
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, told.content_type.encode() + b"\n" + told.body, _context(claim))

    def open(self, status: int, sealed: bytes, claim: Claim) -> Told | None:
        """The answer that was sealed with this status; None where this is not what was sealed."""
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _context(claim))
        except (InvalidTag, ValueError):
            return None
        content_type, _, body = plain.partition(b"\n")
        return Told(status, content_type.decode(), body)


def _context(claim: Claim) -> bytes:
    return claim.holder.encode() + b"\0" + claim.key_hash

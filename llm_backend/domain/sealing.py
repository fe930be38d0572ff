"""Keys kept so that the administrator can read them again: encrypted, each bound to its own row."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from llm_backend.domain.secrets import Secrets

LABEL = "key-seal"
NONCE_BYTES = 12


class Seal:
    """AES-256-GCM under a secret of its own; what was sealed for one key opens for no other."""

    def __init__(self, secrets: Secrets) -> None:
        self._cipher = AESGCM(secrets.derive(LABEL))

    def close(self, text: str, public_id: str) -> bytes:
        """`text`, encrypted: a nonce and what came of it."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), public_id.encode())

    def open(self, sealed: bytes, public_id: str) -> str | None:
        """The text that was sealed for that key; None where this is not what was sealed."""
        try:
            opened = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], public_id.encode())
        except (InvalidTag, ValueError):
            return None
        return opened.decode()

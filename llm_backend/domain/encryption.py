"""Encryption of what is kept, each thing bound to where it belongs."""

import os

NONCE_BYTES = 12


class Cipher:
    """AES-256-GCM under one key.

    The library is loaded at the first use: it takes six megabytes of every process, and most never seal anything.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """`plain`, encrypted: a nonce and what came of it. It opens with the same `context` only."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 (as said above)

        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self._key).encrypt(nonce, plain, context)

    def open(self, sealed: bytes, context: bytes) -> bytes | None:
        """What was sealed with that context; None where this is not what was sealed."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 (as said above)
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 (as said above)

        try:
            return AESGCM(self._key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            return None

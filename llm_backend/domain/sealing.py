"""Keys kept so that the administrator can read them again: encrypted, each bound to its own row."""

from llm_backend.domain.encryption import Cipher
from llm_backend.domain.secrets import Secrets

LABEL = "key-seal"


class Seal:
    """Encrypts under a secret of its own; what was sealed for one key opens for no other."""

    def __init__(self, secrets: Secrets) -> None:
        self._cipher = Cipher(secrets.derive(LABEL))

    def close(self, text: str, public_id: str) -> bytes:
        """`text`, encrypted."""
        return self._cipher.seal(text.encode(), public_id.encode())

    def open(self, sealed: bytes, public_id: str) -> str | None:
        """The text that was sealed for that key; None where this is not what was sealed."""
        opened = self._cipher.open(sealed, public_id.encode())
        return None if opened is None else opened.decode()

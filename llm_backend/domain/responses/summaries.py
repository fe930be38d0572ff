"""Summaries of what was said, for upstreams that make none: sealed, each for its account alone."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping

from llm_backend.domain.encryption import Cipher
from llm_backend.domain.items import new_id
from llm_backend.domain.secrets import Secrets
from llm_backend.errors import InvalidRequest, Json

LABEL = "summary-seal"

MARK = "summary."
"""How a summary begins that was sealed here: what providers seal begins otherwise."""

COMPACTION = "compaction"

INTRODUCTION = "This is a summary of what was said before:\n\n"
"""Stands before a summary where a model reads it."""


class Summaries:
    """Encrypts under a secret of its own; what was sealed for one account opens for no other."""

    def __init__(self, secrets: Secrets) -> None:
        self._cipher = Cipher(secrets.derive(LABEL))

    def sealed(self, text: str, account_id: int) -> dict[str, Json]:
        """A new item that bears the summary."""
        return {"id": new_id(COMPACTION), "type": COMPACTION, "encrypted_content": self._written(text, account_id)}

    def opened(self, items: Iterable[dict[str, Json]], account_id: int, param: str) -> list[dict[str, Json]]:
        """The items, with a message in place of each that bears a summary; `param` is where they stand.

        Raises InvalidRequest for a summary that was not sealed for that account.
        """
        return [self._opened(item, account_id, f"{param}[{index}]") for index, item in enumerate(items)]

    def moved(self, content: str, formerly: int, account_id: int) -> str | None:
        """The `encrypted_content` of a summary whose account has another number now; None where it does not open."""
        text = self._text(content.removeprefix(MARK), formerly)
        return None if text is None else self._written(text, account_id)

    def _opened(self, item: dict[str, Json], account_id: int, param: str) -> dict[str, Json]:
        if not is_ours(item):
            return item
        text = self._text(item["encrypted_content"].removeprefix(MARK), account_id)
        if text is None:
            message = "This summary was not made for this account, or is damaged."
            raise InvalidRequest(message, param=f"{param}.encrypted_content", code="invalid_encrypted_content")
        return {"type": "message", "role": "user", "content": INTRODUCTION + text}

    def _written(self, text: str, account_id: int) -> str:
        sealed = self._cipher.seal(text.encode("utf-8", "replace"), _context(account_id))
        return MARK + urlsafe_b64encode(sealed).decode()

    def _text(self, written: str, account_id: int) -> str | None:
        try:
            sealed = urlsafe_b64decode(written)
        except ValueError:
            return None
        plain = self._cipher.open(sealed, _context(account_id))
        return None if plain is None else plain.decode()


def is_ours(item: Mapping[str, Json]) -> bool:
    """Whether the item bears a summary that was sealed here."""
    content = item.get("encrypted_content")
    return item.get("type") == COMPACTION and isinstance(content, str) and content.startswith(MARK)


def _context(account_id: int) -> bytes:
    return str(account_id).encode()

"""The short way out: a piece of an answer goes from where it was judged into its connection, and no task is woken."""

from typing import Protocol

OUTLET = "llm_backend.outlet"
"""Where a request's stands in its ASGI scope; none with h11, which is a second opinion and need not be fast."""


class Outlet(Protocol):
    """That of one answer. Good between the answer's head and its end, which go the usual way."""

    @property
    def bytes_taken(self) -> int:
        """Of the answer, without what frames it."""
        ...

    def take(self, block: bytes) -> bool:
        """Write `block`; False where nothing is written, as the client has to be waited for, or has gone."""
        ...

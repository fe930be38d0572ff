"""A client that leaves before it is answered: whoever has to know is told, and no task waits for it."""

from asyncio import get_running_loop
from collections.abc import Callable

DEPARTURE = "llm_backend.departure"
"""Where each request's stands in its ASGI scope: the protocols put it there."""


class Departure:
    """One client's, of one request; a half-close counts, because it is the only sign that there is."""

    def __init__(self, resume_reading: Callable[[], None]) -> None:
        """`resume_reading` has the connection read on: of one that is not read nobody sees the end."""
        self.has_happened = False
        self._resume_reading = resume_reading
        self._told: Callable[[], None] = _nothing

    def expect(self, told: Callable[[], None]) -> None:
        """Look out for it, once the body is read; `told` is called when it happens, or soon where it has already."""
        self._resume_reading()
        self._told = told
        if self.has_happened:
            get_running_loop().call_soon(self._tell)

    def forget(self) -> None:
        """Tell nobody any more."""
        self._told = _nothing

    def happen(self) -> None:
        """The client has gone. Of several signs the first counts."""
        if not self.has_happened:
            self.has_happened = True
            get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        told, self._told = self._told, _nothing
        told()


def _nothing() -> None:
    """Nobody is told."""

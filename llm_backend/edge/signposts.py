"""What is said to who asks for a path that is none."""

from collections.abc import Iterable
from difflib import get_close_matches

from llm_backend.errors import NotFound

LONGEST_COMPARED = 64
"""In characters: a longer path is no slip of the pen, and comparing takes time."""

LIKENESS = 0.8
"""From 0 to 1, as difflib counts it: `/v1/chat/complete` and `/v1/chat/completions` have 0.86."""


class Signposts:
    """Leads from a path that is nearly right to the one that was meant."""

    def __init__(self, paths: Iterable[str]) -> None:
        """`paths` are the document's that are answered; those that take an id are none to lead to."""
        self._paths = sorted({path for path in paths if not set("{?") & set(path)})

    def unknown(self, path: str) -> NotFound:
        """What is said of `path`, which is not repeated."""
        near = []
        if len(path) <= LONGEST_COMPARED:
            near = get_close_matches(path.lower(), self._paths, n=1, cutoff=LIKENESS)
        if near:
            return NotFound(f"Unknown path: there is nothing here. Did you mean {near[0]}?")
        if path.startswith("/v1/"):
            return NotFound("Unknown path: the API has no operation here.")
        return NotFound("Unknown path: there is nothing here. The API's paths begin with /v1.")

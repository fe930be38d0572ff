"""An upstream in the process, whose bytes come in exactly the pieces that a test cuts: no network joins them."""

from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import pairwise

from llm_backend.upstream.bodies import BODY_LIMIT, whole
from llm_backend.upstream.wire import Outbound


class Pieces:
    """A transport that answers each stream with the same pieces, until it is told others."""

    def __init__(self) -> None:
        self.told: tuple[bytes, ...] = ()
        self.calls = 0

    def tell(self, pieces: Iterable[bytes]) -> None:
        self.told = tuple(pieces)

    async def send(self, _call: Outbound) -> "PiecedReply":
        self.calls += 1
        return PiecedReply(self.told)

    async def close(self) -> None:
        """There is nothing to let go of."""


class PiecedReply:
    """One answer in pieces."""

    def __init__(self, pieces: tuple[bytes, ...]) -> None:
        self._pieces = pieces

    @property
    def status(self) -> int:
        return 200

    @property
    def headers(self) -> Mapping[str, str]:
        return {"content-type": "text/event-stream"}

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        return await whole(self.chunks(), limit)

    def arrived(self) -> bytes | None:
        return None

    async def chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece

    async def close(self) -> None:
        """There is nothing to let go of."""


def cut(content: bytes, places: Iterable[int]) -> list[bytes]:
    """`content` in pieces, cut at `places`."""
    edges = [0, *sorted(places), len(content)]
    return [content[start:end] for start, end in pairwise(edges) if start < end]

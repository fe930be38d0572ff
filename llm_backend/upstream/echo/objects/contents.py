"""The bytes of files: taken in pieces, given back in the same."""

from llm_backend.upstream.echo.objects.store import Kept, Store
from llm_backend.upstream.echo.prepared import Blob
from llm_backend.upstream.forms import Part, Stretch

_PIECE = 1024 * 1024


def taken(part: Part, store: Store) -> tuple[bytes, ...]:
    """All of `part`, for which there is room before it is read. Raises Refusal where none can be made."""
    store.make_room(part.size)
    if not isinstance(part.data, Stretch):
        return (part.data,) if part.data else ()
    return tuple(part.data.read(place, _PIECE) for place in range(0, part.size, _PIECE))


def given(kept: Kept) -> Blob:
    return Blob("application/octet-stream", sum(map(len, kept.content)), kept.content)


def text_of(kept: Kept, most: int) -> str:
    """The beginning, at most so many bytes of it, as text."""
    return b"".join(piece[:most] for piece in kept.content[:1]).decode(errors="replace")

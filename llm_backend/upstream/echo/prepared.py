"""An answer that is known and not yet on the wire."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from llm_backend.upstream.echo.directives import Directives
from llm_backend.upstream.echo.events import Event


@dataclass(frozen=True, slots=True)
class Blob:
    """A whole answer that is no JSON."""

    content_type: str
    size: int
    """In bytes."""
    pieces: Iterable[bytes]
    """Made as they are read."""
    tokens: int = 0

    @classmethod
    def text(cls, text: str, tokens: int = 0) -> "Blob":
        data = text.encode()
        return cls("text/plain; charset=utf-8", len(data), (data,), tokens)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Both forms of an answer."""

    whole: Callable[[], Event | Blob]
    directives: Directives = field(default_factory=Directives)
    prompt_tokens: int = 0
    events: Callable[[], Iterator[Event]] | None = None
    """None where the operation does not stream."""
    streams: bool = False
    """Whether events were asked for."""
    ends_in_done: bool = True
    """False where the stream ends with an event of its own instead of `[DONE]`."""

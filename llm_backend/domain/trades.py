"""What the operations that an upstream answers differ in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from llm_backend.domain.bench import Bench
from llm_backend.domain.fitting import Continuing, Fitting, Reading
from llm_backend.domain.sizing import Sizing
from llm_backend.domain.work import Work
from llm_backend.errors import Json
from llm_backend.streaming.chunks import Admitted, ChatChunks, TextChunks
from llm_backend.upstream.catalogue import Route


class Events(Protocol):
    """One stream's events, judged as they come."""

    usage: Json
    """What the upstream said was used; None where it said nothing."""

    @property
    def finished(self) -> bool:
        """Whether nothing is missing of the answer."""
        ...

    def admit(self, data: bytes, name: str | None = None) -> Admitted:
        """What one event comes to. Raises UpstreamInvalid."""
        ...

    def conclude(self) -> tuple[bytes, ...]:
        """What is still owed at a good end."""
        ...


class MakeEvents(Protocol):
    """Makes the judge of one stream."""

    def __call__(self, *, wants_usage: bool, model: str | None, created: int, new_id: Callable[[], str]) -> Events: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One operation's, or one kind of operation's."""

    path: str
    """Below an upstream's base URL."""
    sizing: Callable[[Work, Route, Bench], Sizing]
    """What it may use, and has used."""
    contents: str
    """The list without which a whole answer is none."""
    events: MakeEvents | None = None
    """None where it does not stream."""


CHAT = Trade(path="/chat/completions", sizing=Fitting, contents="choices", events=ChatChunks)
COMPLETIONS = Trade(path="/completions", sizing=Continuing, contents="choices", events=TextChunks)
EMBEDDINGS = Trade(path="/embeddings", sizing=Reading, contents="data")

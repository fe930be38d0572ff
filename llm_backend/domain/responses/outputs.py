"""What an upstream's answer comes to: items, and the events that tell of them as they grow."""

from collections.abc import Callable
from typing import Protocol

from llm_backend.domain.responses.growing import Event
from llm_backend.errors import Json

NewId = Callable[[str], str]
"""Makes a fresh public id with the prefix given, `msg` for `msg_…`."""


class Output(Protocol):
    """One answer, of whatever kind of upstream, from its first event to its last."""

    def take(self, chunk: Json) -> list[Event]:
        """The events that one chunk or event of the upstream's comes to, without numbers. Raises UpstreamInvalid."""
        ...

    def whole(self, content: Json) -> None:
        """Take an answer that came in one piece, to its end. Raises UpstreamInvalid."""
        ...

    def close(self, *, is_cut: bool) -> list[Event]:
        """The events that end what is still open; `is_cut`: the answer was broken off, so that is incomplete."""
        ...

    @property
    def response(self) -> Event | None:
        """What the upstream itself said last of the response; None where it has not, or knows none."""
        ...

    @property
    def items(self) -> list[Event]:
        """The items as they stand now, in order, with all of their texts that have come."""
        ...

    @property
    def incomplete_reason(self) -> str | None:
        """Why the upstream ended before its answer was complete, `max_output_tokens` or `content_filter`; else None."""
        ...

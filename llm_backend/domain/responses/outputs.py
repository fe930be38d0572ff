"""What an upstream's answer comes to: items, and the events that tell of them as they grow."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from llm_backend.domain.responses.growing import Event
from llm_backend.errors import Json

NewId = Callable[[str], str]
"""Makes a fresh public id with the prefix given, `msg` for `msg_…`."""

PREFIXES: Final[Mapping[str, str]] = {
    "message": "msg",
    "function_call": "fc",
    "custom_tool_call": "ctc",
    "reasoning": "rs",
    "web_search_call": "ws",
    "file_search_call": "fs",
    "code_interpreter_call": "ci",
    "image_generation_call": "ig",
    "computer_call": "cu",
    "mcp_call": "mcp",
    "compaction": "cmp",
}
"""How the ids of items begin, by their type; those of any other with `item`."""


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


def prefix_of(kind: str) -> str:
    """How the id of an item of this type begins, without its underscore."""
    return PREFIXES.get(kind, "item")

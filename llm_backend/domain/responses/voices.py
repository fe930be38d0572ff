"""The ways in which items say texts, in pieces: what their events are called, and where the text stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Voice:
    """One way."""

    item: str
    """The type of the items that speak so."""
    events: str
    """How the names of its events begin; empty where it has none of its own."""
    field: str
    """The member that holds the text, of the part or of the item itself; empty where nothing is known of it."""
    part: str | None = None
    """The type of the parts that hold it; None where the item itself does."""
    parts: str = "content"
    """The item's list of such parts."""
    repeated: tuple[str, ...] = ()
    """The members of the item that the event repeats which ends its text."""

    @property
    def index_name(self) -> str:
        """By which name events say where in the list the part stands."""
        return _INDEX_NAMES[self.parts]

    @property
    def part_events(self) -> str:
        """How the names of the events begin that tell of the part."""
        return _PART_EVENTS[self.parts]


_INDEX_NAMES: Final[Mapping[str, str]] = {"content": "content_index", "summary": "summary_index"}
_PART_EVENTS: Final[Mapping[str, str]] = {
    "content": "response.content_part",
    "summary": "response.reasoning_summary_part",
}

OUTPUT_TEXT: Final = Voice("message", "response.output_text", "text", "output_text")
REFUSAL: Final = Voice("message", "response.refusal", "refusal", "refusal")
REASONING_TEXT: Final = Voice("reasoning", "response.reasoning_text", "text", "reasoning_text")
SUMMARY_TEXT: Final = Voice("reasoning", "response.reasoning_summary_text", "text", "summary_text", "summary")
# OpenAI's document and the 2.x SDK require the name there, of which later ones know nothing.
ARGUMENTS: Final = Voice("function_call", "response.function_call_arguments", "arguments", repeated=("name",))
INPUT: Final = Voice("custom_tool_call", "response.custom_tool_call_input", "input")
MCP_ARGUMENTS: Final = Voice("mcp_call", "response.mcp_call_arguments", "arguments")
CODE: Final = Voice("code_interpreter_call", "response.code_interpreter_call_code", "code")

VOICES: Final = (OUTPUT_TEXT, REFUSAL, REASONING_TEXT, SUMMARY_TEXT, ARGUMENTS, INPUT, MCP_ARGUMENTS, CODE)
OF_PARTS: Final[Mapping[str, Voice]] = {voice.part: voice for voice in VOICES if voice.part is not None}
"""By the type of the part."""
OF_ITEMS: Final[Mapping[str, Voice]] = {voice.item: voice for voice in VOICES if voice.part is None}
"""Of the items that hold their text themselves, by their type."""
LISTS: Final[Mapping[str, tuple[str, ...]]] = {"message": ("content",), "reasoning": ("summary", "content")}
"""The lists of parts that an item has, by its type, in the order in which they are said."""


def of_part(kind: str, item: str, parts: str) -> Voice:
    """The voice of a part of this type; one without events of its own where the type is not known."""
    return OF_PARTS.get(kind) or Voice(item, "", "", kind, parts)

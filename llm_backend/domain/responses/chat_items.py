"""The items of a dialogue, as the messages of a chat.

What a model reads is carried: texts, files, calls, their outputs, reasoning. What an item tells its reader besides (its
id, its status, its phase, the annotations of a text and its logprobs) is no part of a chat's messages.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llm_backend.domain.completions.parts import call_of_message
from llm_backend.domain.items import CALLS, OUTPUTS
from llm_backend.domain.responses.chat_parts import Part, content_of, parts_of
from llm_backend.domain.responses.unsupported import check_usual, kind_of, needed, unsupported_value
from llm_backend.errors import Json

BETWEEN = "\n\n"
"""Stands between two thoughts."""

ROLES: Mapping[str, str] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
"""A developer's message is a system's to OpenAI, and that is what every other chat calls it."""


@dataclass(slots=True)
class _Turn:
    """What the model said before someone else spoke: one message of a chat."""

    parts: list[Part] | None = None
    """None where it said nothing."""
    thoughts: list[str] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)

    def message(self) -> dict[str, Json]:
        silence = None if self.calls else ""
        message = {"role": "assistant", "content": silence if self.parts is None else content_of(self.parts)}
        if self.thoughts:
            message["reasoning_content"] = BETWEEN.join(self.thoughts)
        return message | ({"tool_calls": self.calls} if self.calls else {})


class Dialogue:
    """Takes items one after another and makes messages of them."""

    def __init__(self) -> None:
        self._messages: list[Json] = []
        self._turn: _Turn | None = None

    def take(self, items: Iterable[Mapping[str, Json]], param: str) -> None:
        """`param` is where the items stand. Raises InvalidRequest for one that no chat can carry."""
        for index, item in enumerate(items):
            self._take(item, f"{param}[{index}]")

    def say(self, role: str, content: Json) -> None:
        """A message of someone else than the model; `content` as a chat has it."""
        self._add({"role": role, "content": content})

    def messages(self) -> list[Json]:
        """All of them, in order: nothing is taken after that."""
        self._end_turn()
        return self._messages

    def _take(self, item: Mapping[str, Json], param: str) -> None:
        kind = item.get("type") or ("message" if "role" in item else None)
        if kind == "message":
            self._take_message(item, param)
        elif kind in CALLS:
            self._take_call(item, param)
        elif kind in OUTPUTS:
            self._take_output(item, param)
        elif kind == "reasoning":
            self._take_reasoning(item, param)
        elif kind == "compaction":
            raise unsupported_value("What another model made short", f"{param}.encrypted_content")
        else:
            raise unsupported_value(f"An item of {kind_of(item)}", f"{param}.type")

    def _take_message(self, item: Mapping[str, Json], param: str) -> None:
        role = ROLES.get(needed(item, "role", str, param))
        if role is None:
            raise unsupported_value("A message of this role", f"{param}.role")
        parts = parts_of(needed(item, "content", (str, list), param), role, f"{param}.content")
        if role == "assistant":
            turn = self._turn_of_more()
            turn.parts = [*(turn.parts or ()), *parts]
        else:
            self.say(role, content_of(parts))

    def _take_call(self, item: Mapping[str, Json], param: str) -> None:
        check_usual(item, param)
        for name in ("call_id", "name", CALLS[item["type"]][1]):
            needed(item, name, str, param)
        self._turn = self._turn or _Turn()
        self._turn.calls.append(call_of_message(item))

    def _take_output(self, item: Mapping[str, Json], param: str) -> None:
        check_usual(item, param)
        if item.get("call_id") is None:
            raise unsupported_value("An output without the id of its call", f"{param}.call_id")
        content = content_of(parts_of(needed(item, "output", (str, list), param), "tool", f"{param}.output"))
        self._add({"role": "tool", "tool_call_id": item["call_id"], "content": content})

    def _take_reasoning(self, item: Mapping[str, Json], param: str) -> None:
        text = _thought(item.get("content")) or _thought(item.get("summary"))
        if text:
            self._turn_of_more().thoughts.append(text)
        elif item.get("encrypted_content"):
            raise unsupported_value("Encrypted reasoning", f"{param}.encrypted_content")

    def _turn_of_more(self) -> _Turn:
        """The turn to which words or thoughts belong that come now.

        Words that follow words are another message; those that follow a call are the same, as between a call and its
        output nothing may stand.
        """
        if self._turn is not None and self._turn.parts is not None and not self._turn.calls:
            self._end_turn()
        self._turn = self._turn or _Turn()
        return self._turn

    def _add(self, message: Json) -> None:
        self._end_turn()
        self._messages.append(message)

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._messages.append(self._turn.message())
            self._turn = None


def _thought(parts: Iterable[Mapping[str, Json]] | None) -> str:
    return BETWEEN.join(part["text"] for part in parts or ())

"""What a model is sent of a chat: as messages or as one text, and of what was said as much as it can read."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from llm_backend.domain.bounds import TOKENS_AROUND
from llm_backend.domain.trades import CHAT, COMPLETIONS, Trade
from llm_backend.errors import Json

ANSWERS_SHARE = 4
"""Of a model's context a quarter is left to its answer, where nobody says how long that may be."""

ANSWER_TOKENS = 1024
"""How long a text may be continued where the model's context is not known: with no limit upstreams stop after 16."""

Turn = tuple["Line", ...]
"""What was asked, instruction first, and what was answered."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message."""

    role: str
    """Who said it: system, user or assistant."""
    content: str


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a model reads and writes at most, in tokens; None where it is not known."""

    context: int | None
    output: int | None


class Form(ABC):
    """One way to put a chat to a model."""

    trade: ClassVar[Trade]
    """The operation by which it is put."""

    @abstractmethod
    def body(self, lines: Sequence[Line], arguments: Mapping[str, Json], sizes: Sizes) -> Json:
        """The request, without its model."""

    @abstractmethod
    def said(self, answer: Json) -> str:
        """The text of the answer; empty where it has none."""

    @abstractmethod
    def size_tokens(self, line: Line) -> int:
        """More tokens than the line has for any model."""

    @property
    def ending_tokens(self) -> int:
        """More tokens than what is said behind all lines."""
        return 0

    def fitting(self, turns: Sequence[Turn], new: Turn, cap: int | None, sizes: Sizes) -> list[Line]:
        """What is said last, after as many of the last turns as the model can read, leaving room to answer."""
        room = self.room(new, cap, sizes)
        if room is not None:
            turns = self._last(turns, room)
        return [line for turn in (*turns, new) for line in turn]

    def room(self, new: Turn, cap: int | None, sizes: Sizes) -> int | None:
        """How many tokens of what was said before the model can read beside `new`; None where that is not known.

        Below zero where `new` alone is too long.
        """
        if sizes.context is None:
            return None
        left = sizes.context - (cap or _answer(sizes.context, sizes))
        return left - self._size(new) - self.ending_tokens

    def _last(self, turns: Sequence[Turn], room: int) -> Sequence[Turn]:
        for number, turn in enumerate(reversed(turns)):
            room -= self._size(turn)
            if room < 0:
                return turns[len(turns) - number :]
        return turns

    def _size(self, lines: Sequence[Line]) -> int:
        return sum(map(self.size_tokens, lines))


class Messages(Form):
    """For a model that chats."""

    trade = CHAT

    def body(self, lines: Sequence[Line], arguments: Mapping[str, Json], sizes: Sizes) -> Json:  # noqa: ARG002 (a model that chats ends by itself)
        messages = [{"role": line.role, "content": line.content} for line in lines]
        # Of how many answers the best is given, only a text is asked.
        return {"messages": messages, **_told(arguments, but="best_of")}

    def said(self, answer: Json) -> str:
        message = _first(answer).get("message")
        found = message if isinstance(message, dict) else {}
        return _text(found.get("content")) or _text(found.get("refusal"))

    def size_tokens(self, line: Line) -> int:
        return size_tokens(line.content)


@dataclass(frozen=True, slots=True)
class Continuation(Form):
    """For a model that continues a text: whose turn it is stands before each message."""

    trade: ClassVar[Trade] = COMPLETIONS
    prefixes: Mapping[str, str]
    """By role."""

    def body(self, lines: Sequence[Line], arguments: Mapping[str, Json], sizes: Sizes) -> Json:
        prompt = "\n".join([*map(self._written, lines), self.prefixes["assistant"]])
        told = _told(arguments)
        if "max_tokens" not in told:
            left = ANSWER_TOKENS
            if sizes.context is not None:
                left = sizes.context - self._size(lines) - self.ending_tokens
            told["max_tokens"] = max(1, left if sizes.output is None else min(left, sizes.output))
        return {"prompt": prompt, **told}

    def said(self, answer: Json) -> str:
        return _text(_first(answer).get("text"))

    def size_tokens(self, line: Line) -> int:
        return size_tokens(self._written(line))

    @property
    def ending_tokens(self) -> int:
        return size_tokens(self.prefixes["assistant"])

    def _written(self, line: Line) -> str:
        return self.prefixes[line.role] + line.content


def size_tokens(text: str) -> int:
    """More tokens than a message of this text has for any model: no token is less than a byte."""
    return len(text.encode()) + TOKENS_AROUND


def turns(lines: Sequence[Line]) -> list[Turn]:
    """The messages of a chat, oldest first, cut behind each answer."""
    found: list[Turn] = []
    open_turn: list[Line] = []
    for line in lines:
        open_turn.append(line)
        if line.role == "assistant":
            found.append(tuple(open_turn))
            open_turn = []
    return [*found, tuple(open_turn)] if open_turn else found


def _answer(context: int, sizes: Sizes) -> int:
    share = context // ANSWERS_SHARE
    return share if sizes.output is None else min(share, sizes.output)


UNSAID: Mapping[str, Json] = {
    "top_p": 1,
    "max_tokens": None,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "best_of": 1,
}
"""What every upstream takes for granted: told to none, for not every one knows each of them."""


def _told(arguments: Mapping[str, Json], but: str = "") -> dict[str, Json]:
    return {
        name: value
        for name, value in arguments.items()
        if name != but and (name not in UNSAID or value != UNSAID[name])
    }


def _first(answer: Json) -> Mapping[str, Json]:
    choices = answer["choices"]
    return choices[0] if choices and isinstance(choices[0], dict) else {}


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""

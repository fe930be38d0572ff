"""Directives: what a prompt asks of the echo model besides its words, as `[[delay 0.2]]`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import orjson

from llm_backend.errors import Json
from llm_backend.upstream.echo.script import Refusal

# Every repetition is bounded, so that a hostile prompt is read in linear time.
_DIRECTIVE = re.compile(
    r"\[\[(delay|tokens|words|tool|refuse|finish|fault|flag)((?:\s{1,8}[^\s\]]{1,256}){0,16})\s{0,8}\]\]\s{0,8}"
)
_TOKENS = frozenset({"prompt", "completion", "reasoning", "cached"})
MOST_WORDS = 100_000
"""No prompt asks for more words than these."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault by name, with its options as they were written."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)

    def number(self, option: str, default: int) -> int:
        return int(_counted(self.options[option])) if option in self.options else default

    def seconds(self, option: str, default: float) -> float:
        return _seconds(self.options[option]) if option in self.options else default

    def text(self, option: str, default: str) -> str:
        return self.options.get(option, default)


@dataclass(slots=True)
class Directives:
    """All that a prompt asked for."""

    delay_seconds: float = 0.0
    """Before the status line."""
    between_seconds: float = 0.0
    """Before each event of a stream but the first."""
    tokens: dict[str, int] = field(default_factory=dict)
    """Counts to be reported as usage instead of the true ones."""
    words: int | None = None
    tools: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    """Tools to be called, in order, each with the arguments that were given."""
    refuses: bool = False
    finish: str | None = None
    flags: list[str] = field(default_factory=list)
    """Categories that a moderation is to flag."""
    fault: Fault | None = None


def plain(text: str) -> str:
    """`text` without its directives: what is echoed and counted."""
    return _DIRECTIVE.sub("", text)


def read(text: str) -> Directives:
    """The directives in `text`. Raises Refusal where one is written wrongly; what is no directive is text."""
    found = Directives()
    for name, rest in _DIRECTIVE.findall(text):
        words = rest.split()
        _READERS[name](
            found,
            [word for word in words if "=" not in word],
            dict(word.split("=", 1) for word in words if "=" in word),
        )
    return found


def fault_of(model: str) -> Fault | None:
    """The fault that a model is named after, as `echo-fault-429:retry-after=3,times=2`."""
    prefix, _, spelling = model.partition("echo-fault-")
    if prefix or not spelling:
        return None
    name, _, options = spelling.partition(":")
    pairs = (pair.partition("=") for pair in options.split(",") if pair)
    return Fault(name, {key: value for key, _, value in pairs})


def _delay(found: Directives, words: list[str], options: Mapping[str, str]) -> None:
    found.delay_seconds = _seconds(words[0]) if words else found.delay_seconds
    found.between_seconds = _seconds(options["between"]) if "between" in options else found.between_seconds


def _told_tokens(found: Directives, _words: list[str], options: Mapping[str, str]) -> None:
    if unknown := sorted(options.keys() - _TOKENS):
        raise Refusal(f"The directive 'tokens' knows no {unknown[0]!r}.", param="messages", code="invalid_value")
    found.tokens |= {name: _counted(value) for name, value in options.items()}


def _words(found: Directives, words: list[str], _options: Mapping[str, str]) -> None:
    found.words = min(_counted(_first("words", words)), MOST_WORDS)


def _tool(found: Directives, words: list[str], options: Mapping[str, str]) -> None:
    found.tools.append((_first("tool", words), {name: _value(text) for name, text in options.items()}))


def _refuse(found: Directives, _words: list[str], _options: Mapping[str, str]) -> None:
    found.refuses = True


def _finish(found: Directives, words: list[str], _options: Mapping[str, str]) -> None:
    found.finish = _first("finish", words)


def _flag(found: Directives, words: list[str], _options: Mapping[str, str]) -> None:
    found.flags += words or ["harassment"]


def _fault(found: Directives, words: list[str], options: Mapping[str, str]) -> None:
    found.fault = Fault(_first("fault", words), options)


_READERS: Mapping[str, Callable[[Directives, list[str], Mapping[str, str]], None]] = {
    "delay": _delay,
    "tokens": _told_tokens,
    "words": _words,
    "tool": _tool,
    "refuse": _refuse,
    "finish": _finish,
    "fault": _fault,
    "flag": _flag,
}


def _first(name: str, words: list[str]) -> str:
    if not words:
        raise Refusal(f"The directive {name!r} lacks its value.", param="messages", code="invalid_value")
    return words[0]


def _counted(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise Refusal("A directive's count is a whole number.", param="messages", code="invalid_value")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", text):
        raise Refusal("A directive's time is a number of seconds.", param="messages", code="invalid_value")
    return float(text)


def _value(text: str) -> Json:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text

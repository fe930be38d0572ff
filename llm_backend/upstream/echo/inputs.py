"""Prompts and inputs in the four shapes that OpenAI takes: a text, texts, tokens, lists of tokens."""

from collections.abc import Mapping
from dataclasses import dataclass

from llm_backend.errors import Json
from llm_backend.upstream.echo import directives as asked
from llm_backend.upstream.echo import words
from llm_backend.upstream.echo.request import is_count
from llm_backend.upstream.echo.script import Refusal

_MOST = 2048


@dataclass(frozen=True, slots=True)
class Input:
    """One input; a token is the word that its number spells."""

    raw: str
    """With its directives."""

    @property
    def text(self) -> str:
        return asked.plain(self.raw)

    @property
    def tokens(self) -> int:
        return words.count(self.text)


def inputs_of(request: Mapping[str, Json], name: str) -> list[Input]:
    """The inputs under `name`, at least one. Raises Refusal where it has none of the four shapes."""
    value = request.get(name)
    if value is None:
        raise Refusal(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    if isinstance(value, str) or _are_tokens(value):
        return [_input(value)]
    if not isinstance(value, list) or not 0 < len(value) <= _MOST:
        raise Refusal(f"'{name}' is a text or a list of 1 to {_MOST}.", param=name, code="invalid_type")
    for index, item in enumerate(value):
        if not isinstance(item, str) and not _are_tokens(item):
            raise Refusal("An input is a text or tokens.", param=f"{name}[{index}]", code="invalid_type")
    return [_input(item) for item in value]


def _are_tokens(value: Json) -> bool:
    return isinstance(value, list) and bool(value) and all(is_count(item) for item in value)


def _input(value: Json) -> Input:
    return Input(value if isinstance(value, str) else " ".join(str(int(token)) for token in value))

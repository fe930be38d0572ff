"""Where an answer stops short of its end."""

from collections.abc import Sequence

from llm_backend.upstream.echo import words
from llm_backend.upstream.echo.script import Refusal

CONTEXT_CHARACTERS = 4 * 1024 * 1024
"""The text that is read, and given back in all choices together: the model shares a process with others."""


def check_context(characters: int, choices: int, param: str) -> None:
    """Raises Refusal where so many characters, for each of the choices, are more than the model reads."""
    if characters * choices > CONTEXT_CHARACTERS:
        message = f"This model's maximum context is {CONTEXT_CHARACTERS} characters, counted for each choice."
        raise Refusal(message, param=param, code="context_length_exceeded")


def cut(spoken: tuple[str, ...], limit: int) -> tuple[tuple[str, ...], int]:
    """At most `limit` tokens of `spoken`, and how many are left after them."""
    kept = spoken[:limit]
    return kept, limit - len(kept)


def stopped(spoken: tuple[str, ...], stops: Sequence[str]) -> tuple[str, ...]:
    """`spoken` up to the first stop sequence, which is left out."""
    if not stops:
        return spoken
    text = "".join(spoken)
    ends = [place for place in (text.find(stop) for stop in stops if stop) if place >= 0]
    return words.pieces(text[: min(ends)]) if ends else spoken

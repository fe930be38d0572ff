"""Events that differ from one already judged in nothing but their text, which is nearly all of a stream: read unparsed.

An event is judged by the whole rules once, and once more with a mark in place of its text. What surrounds the mark, in
what came and in what the rules made of it, is then known of every event that has the same bytes around another text.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import orjson

from llm_backend.streaming.admitted import Admitted
from llm_backend.streaming.sse import frame

# The inside of a JSON string up to its closing quote, where it is written as orjson writes it: no \u, no \/.
_TEXT = re.compile(rb'(?:[ !#-\[\]-~]++|\\["\\bfnrt])*+(?=")')
_MARKS = (b"<mark of the text>", b"<mark of the padding>")
_PADDING = "obfuscation"
"""A field of OpenAI's with random letters, so that the length of an event says nothing of its text."""

TEXTS = ("content", "reasoning_content", "reasoning", "refusal")
"""By which fields a delta says something that is counted."""


class Cast(NamedTuple):
    """What of a piece of the upstream's bytes came out of the mould."""

    texts: list[bytes]
    """What each event said, in UTF-8."""
    frames: bytes
    """The same events for the client: the upstream's own bytes where they are as good."""
    rest: bytes
    """What follows them."""


class Mould:
    """The bytes around a text, and around the padding where there is one."""

    __slots__ = ("_came", "_came_end", "_goes", "field")

    def __init__(self, came: Sequence[bytes], goes: Sequence[bytes], field: str) -> None:
        """`came`, `goes`: what stands before each and behind the last, as it comes and as the client gets it.

        `field`: by which the events say their text.
        """
        self.field = field
        *self._came, self._came_end = came
        self._goes = None if goes == came else goes

    def take(self, piece: bytes) -> Cast:
        """Take the events that `piece` begins with, as long as they have this shape."""
        texts: list[bytes] = []
        frames: list[bytes] = []
        end = 0
        while end < len(piece) and (found := self._event(piece, end)) is not None:
            said, end = found
            texts.append(_unescaped(said[0]) if b"\\" in said[0] else said[0])
            if self._goes is not None:
                frames.append(_woven(self._goes, said))
        return Cast(texts, piece[:end] if self._goes is None else b"".join(frames), piece[end:])

    def _event(self, piece: bytes, at: int) -> tuple[list[bytes], int] | None:
        """Find what the event that begins at `at` says, and where it ends; None where it has not this shape."""
        said: list[bytes] = []
        for before in self._came:
            if not piece.startswith(before, at):
                return None
            found = _TEXT.match(piece, at + len(before))
            if found is None:
                return None
            said.append(found[0])
            at = found.end()
        return (said, at + len(self._came_end)) if piece.startswith(self._came_end, at) else None


def only_text(admitted: Admitted) -> tuple[str, str] | None:
    """The field by which a chunk says a text, and that text; None where it says anything else."""
    chunk = admitted.chunk
    if len(admitted.payloads) != 1 or len(chunk["choices"]) != 1:
        return None
    if any(chunk.get(name) for name in ("delta", "b64_json", "audio")):
        return None
    choice = chunk["choices"][0]
    delta = choice.get("delta")
    said = [pair for pair in delta.items() if pair[1] and pair[0] != "role"] if type(delta) is dict else []
    if choice.get("text"):
        said.append(("text", choice["text"]))
    if len(said) != 1 or type(said[0][1]) is not str or said[0][0] not in {*TEXTS, "text"}:
        return None
    return said[0]


def mould(data: bytes, admitted: Admitted, judge: Callable[[bytes], Admitted]) -> Mould | None:
    """The mould of the event `data`, which says only a text; None where that cannot surely be told.

    Sure because the mark is nowhere else in the event: where `judge` finds it as the text, it is our own, and what
    stands around it puts any other text into the same place.
    """
    said = only_text(admitted)
    if said is None or b"\n" in data or any(mark in data for mark in _MARKS):
        return None
    around = _around(data, said[0])
    if around is None:
        return None
    marks = _MARKS[: len(around) - 1]
    probe = _woven(around, marks)
    retold = judge(probe)
    if only_text(retold) != (said[0], marks[0].decode()):
        return None
    (payload,) = retold.payloads
    if any(payload.count(mark) != 1 for mark in marks):
        return None
    return Mould(_parted(frame(probe), marks), _parted(frame(payload), marks), said[0])


def _around(data: bytes, field: str) -> list[bytes] | None:
    """What stands around the text in `data`, and around the padding behind it; None where no text is found."""
    around = []
    rest = data
    for name in (field, _PADDING):
        opening = re.search(rb'"%b": ?"' % name.encode(), rest)
        text = opening and _TEXT.match(rest, opening.end())
        if text:
            around.append(rest[: text.start()])
            rest = rest[text.end() :]
        elif name == field:
            return None
    return [*around, rest]


def _woven(around: Sequence[bytes], texts: Sequence[bytes]) -> bytes:
    """Put `texts` between the parts of `around`, which are one more."""
    return b"".join([part for pair in zip(around, texts, strict=False) for part in pair]) + around[-1]


def _parted(whole: bytes, marks: Sequence[bytes]) -> list[bytes]:
    """What stands around `marks`, each of which is there, in order."""
    parts = []
    for mark in marks:
        before, _, whole = whole.partition(mark)
        parts.append(before)
    return [*parts, whole]


def _unescaped(text: bytes) -> bytes:
    return str(orjson.loads(b'"%b"' % text)).encode()

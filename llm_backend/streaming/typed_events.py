"""Events that say what they are by their `type`: those of images, sounds and responses."""

from collections.abc import Callable
from typing import Final

from llm_backend.errors import Json, UpstreamInvalid
from llm_backend.streaming.admitted import Admitted, parsed
from llm_backend.streaming.sse import ascii_json

ERROR: Final = "error"


class TypedEvents:
    """One stream of them. What they say is passed on as it came; their kinds are the upstream's."""

    ending: Final = b""
    """Nothing: the last event is one of them."""
    mould: Final = None
    """None: they are numbered, so that no two are alike."""

    def __init__(self, finals: frozenset[str], *, model: str | None, is_named: bool, ends_in_done: bool) -> None:
        """`finals`: the types of which one ends the answer. `is_named`: whether OpenAI names an event by its type too.

        `model`: the name the client asked for, where the upstream has another. `ends_in_done`: whether there are
        upstreams that have no such types, and end in `[DONE]`.
        """
        self.usage: Json = None
        """The latest usage object as the upstream sent it; None where it sent none."""
        self.finished = False
        self._finals = finals
        self._model = model
        self._is_named = is_named
        self._ends_in_done = ends_in_done

    def admit(self, data: bytes, name: str | None = None) -> Admitted:
        """Judge the event with `data` and `name`. Raises `UpstreamInvalid` where it is no JSON object."""
        event, strict = parsed(data)
        kind = event.get("type")
        if isinstance(kind, str) and not kind.isprintable():
            raise UpstreamInvalid("The upstream sent an event whose type is no name.", outcome_unknown=True)
        if ERROR in {kind, name} or event.get("error"):
            return Admitted(event, (), event.get("error") or event)
        response = event.get("response")
        told = response if isinstance(response, dict) else event
        if isinstance(told.get("usage"), dict):
            self.usage = told["usage"]
        self.finished = self.finished or kind in self._finals
        if self._model is not None and "model" in told:
            told["model"] = self._model
            strict = ascii_json(event)
        is_line = strict.isascii() and b"\n" not in strict and b"\r" not in strict
        payload = strict if is_line else ascii_json(event)
        return Admitted(event, (payload,), name=kind if self._is_named and isinstance(kind, str) else None)

    def done(self) -> None:
        """Note that `[DONE]` came."""
        self.finished = self.finished or self._ends_in_done

    def conclude(self) -> tuple[bytes, ...]:
        """Nothing is owed."""
        return ()


def typed(*finals: str, is_named: bool = True, ends_in_done: bool = False) -> Callable[..., TypedEvents]:
    """Makes the judge of streams that end in one of `finals`."""
    ends = frozenset(finals)

    def make(*, model: str | None, **_of_chunks: object) -> TypedEvents:
        return TypedEvents(ends, model=model, is_named=is_named, ends_in_done=ends_in_done)

    return make

"""An upstream's completion chunks, mended into what every client of OpenAI's API can read."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from llm_backend.errors import Json
from llm_backend.streaming.admitted import Admitted, parsed
from llm_backend.streaming.mould import Mould, mould, only_text
from llm_backend.streaming.sse import DONE
from llm_backend.streaming.tool_calls import ToolCalls, number, written

_LESSONS = 8
"""How often a stream's shape is learnt: one that changes with each event is not worth it."""


class _Choice:
    """What has been seen of one choice."""

    __slots__ = ("calls", "has_role", "is_finished")

    def __init__(self, new_id: Callable[[], str]) -> None:
        self.calls = ToolCalls(new_id)
        self.has_role = False
        self.is_finished = False


class _Chunks(ABC):
    """One stream of completion chunks, whose `choices` differ by kind.

    `wants_usage`: whether the client asked for the usage chunk (the upstream is always asked for it).
    `model`: the name the client asked for, put into every chunk; None leaves the upstream's.
    `created`: Unix seconds, for chunks without; `new_id`: makes the part behind the prefix of an id that is missing.
    `answer_id`: put into every chunk; None leaves the upstream's.
    """

    OBJECT: ClassVar[str]
    ID_PREFIX: ClassVar[str]
    ending: ClassVar[bytes] = DONE

    def __init__(
        self,
        *,
        wants_usage: bool,
        model: str | None,
        created: int,
        new_id: Callable[[], str],
        answer_id: str | None = None,
    ) -> None:
        self.usage: Json = None
        """The latest usage object as the upstream sent it; None where it sent none."""
        self.mould: Mould | None = None
        """The shape of events that need not be admitted one by one; None before it is known."""
        self._lessons = _LESSONS
        self._wants_usage = wants_usage
        self._model = model
        self._created = created
        self._new_id = new_id
        self._id = answer_id
        self._seen_model = ""
        self._choices: dict[int, _Choice] = {}
        self._usage_payload: bytes | None = None

    @property
    def finished(self) -> bool:
        """Whether every choice that was seen has its finish_reason: an end without `[DONE]` is then a good one."""
        return bool(self._choices) and all(choice.is_finished for choice in self._choices.values())

    def admit(self, data: bytes, name: str | None = None) -> Admitted:
        """Judge the event with `data` and `name`. Raises `UpstreamInvalid` where it is no JSON object.

        Usage is never among the payloads: `conclude` has it.
        """
        known, reported = len(self._choices), self.usage
        admitted = self._judge(data, name)
        # What changed something but the text is no example: the first of a choice, one with usage, an ending.
        is_usual = name is None and len(self._choices) == known and self.usage is reported
        if is_usual and self._lessons and only_text(admitted) is not None:
            self._lessons -= 1
            self.mould = mould(data, admitted, self._judge)
        return admitted

    def _judge(self, data: bytes, name: str | None = None) -> Admitted:
        chunk, data = parsed(data)
        error = _error_in(chunk, name)
        if error is not None:
            return Admitted(chunk, (), error)
        choices = chunk.get("choices")
        kept = [choice for choice in choices if type(choice) is dict] if type(choices) is list else []
        changed = False
        if chunk.get("usage") is not None:
            self._take_usage(chunk, None if kept else data)
            changed = True
        if not kept:
            return Admitted(chunk, ())
        if len(kept) != len(choices):
            chunk["choices"] = kept
            changed = True
        changed = self._fill(chunk) or changed
        for position, choice in enumerate(kept):
            changed = self._mend_choice(choice, position) or changed
        for choice in kept:
            if choice.get("finish_reason") and self._says(choice):
                return Admitted(chunk, self._parted(chunk))
        return Admitted(chunk, (written(chunk, None if changed else data),))

    def done(self) -> None:  # noqa: B027 (each kind takes it alike)
        """`[DONE]` came, which says nothing: an answer without a finish_reason is not complete."""

    def conclude(self) -> tuple[bytes, ...]:
        """Give what is still owed before `[DONE]` at a good end: the usage chunk, for a client that asked, once."""
        if self._usage_payload is None or not self._wants_usage:
            return ()
        return (self._usage_payload,)

    def _take_usage(self, chunk: Json, own: bytes | None) -> None:
        """Move the usage out of `chunk`; `own` is the event's data where the chunk carries nothing else."""
        usage = chunk["usage"]
        chunk["usage"] = None
        if not self._wants_usage:
            del chunk["usage"]
        if not isinstance(usage, dict):
            return
        self.usage = usage
        if self._wants_usage:
            alone = {**chunk, "choices": [], "usage": usage}
            is_as_sent = not self._fill(alone) and own is not None and chunk.get("choices") == []
            self._usage_payload = written(alone, own if is_as_sent else None)

    def _fill(self, chunk: Json) -> bool:
        """Give the chunk the fields that every chunk of a stream shares; say whether any was wrong."""
        changed = False
        if chunk.get("id") != self._id or self._id is None:
            changed = self._settle_id(chunk)
        if chunk.get("object") != self.OBJECT:
            chunk["object"] = self.OBJECT
            changed = True
        created = chunk.get("created")
        if type(created) is not int:
            chunk["created"] = self._created
            changed = True
        model = chunk.get("model")
        if self._model is None and isinstance(model, str):
            if model != self._seen_model:
                self._seen_model = model
                self.mould = None
        elif model != self._model or model is None:
            chunk["model"] = self._seen_model if self._model is None else self._model
            changed = True
        return changed

    def _settle_id(self, chunk: Json) -> bool:
        """Put the stream's one id into the chunk: the first chunk's, or ours where that had none."""
        upstream_id = chunk.get("id")
        if self._id is None:
            is_id = isinstance(upstream_id, str) and upstream_id != ""
            self._id = upstream_id if is_id else self.ID_PREFIX + self._new_id()
        chunk["id"] = self._id
        return bool(self._id != upstream_id)

    def _mend_choice(self, choice: Json, position: int) -> bool:
        changed = False
        index = choice.get("index")
        if type(index) is not int or index < 0:
            index = number(index)
            index = choice["index"] = position if index is None else index
            changed = True
        seen = self._choices.get(index)
        if seen is None:
            seen = self._choices[index] = _Choice(self._new_id)
        changed = self._mend_content(choice, seen) or changed
        reason = choice.get("finish_reason")
        if reason is None:
            return changed
        if not isinstance(reason, str) or not reason:
            # A reader that closes on anything but null would lose the rest.
            choice["finish_reason"] = None
            return True
        seen.is_finished = True
        if reason == "stop" and seen.calls:
            choice["finish_reason"] = "tool_calls"
            return True
        return changed

    def _parted(self, chunk: Json) -> tuple[bytes, bytes]:
        """Write the chunk as two: readers that close on finish_reason drop the text beside it."""
        said = [{**choice, "finish_reason": None} for choice in chunk["choices"]]
        ended = [self._emptied(choice) for choice in chunk["choices"] if choice.get("finish_reason")]
        return written({**chunk, "choices": said}), written({**chunk, "choices": ended})

    @abstractmethod
    def _mend_content(self, choice: Json, seen: _Choice) -> bool:
        """Mend what the choice says; say whether that changed it."""

    @abstractmethod
    def _says(self, choice: Json) -> bool:
        """Whether the mended choice carries anything that a reader would miss."""

    @abstractmethod
    def _emptied(self, choice: Json) -> Json:
        """Copy the choice without what it says."""


class ChatChunks(_Chunks):
    """The chunks of a chat completion."""

    OBJECT = "chat.completion.chunk"
    ID_PREFIX = "chatcmpl-"

    def _mend_content(self, choice: Json, seen: _Choice) -> bool:
        changed = False
        delta = choice.get("delta")
        if type(delta) is not dict:
            delta = choice["delta"] = {}
            changed = True
        if "content" in delta and type(delta["content"]) is not str:
            _mend_text(delta)
            changed = True
        if seen.has_role:
            if "role" in delta:
                # SDKs concatenate whatever comes twice.
                del delta["role"]
                changed = True
        else:
            seen.has_role = True
            if not isinstance(delta.get("role"), str) or not delta["role"]:
                delta["role"] = "assistant"
                changed = True
        if delta.get("tool_calls") is not None:
            changed = _mend_calls(delta, seen.calls) or changed
        return changed

    def _says(self, choice: Json) -> bool:
        return any(value for key, value in choice["delta"].items() if key != "role")

    def _emptied(self, choice: Json) -> Json:
        emptied = {**choice, "delta": {}}
        if "logprobs" in choice:
            emptied["logprobs"] = None
        return emptied


class TextChunks(_Chunks):
    """The chunks of a legacy completion."""

    OBJECT = "text_completion"
    ID_PREFIX = "cmpl-"

    def _mend_content(self, choice: Json, seen: _Choice) -> bool:  # noqa: ARG002 (the kinds share one signature)
        if isinstance(choice.get("text"), str):
            return False
        choice["text"] = ""
        return True

    def _says(self, choice: Json) -> bool:
        return bool(choice["text"])

    def _emptied(self, choice: Json) -> Json:
        emptied = {**choice, "text": ""}
        if "logprobs" in choice:
            emptied["logprobs"] = None
        return emptied


def _error_in(chunk: Json, name: str | None) -> Json:
    """Find what went wrong, in any of the ways upstreams say so; None where nothing did."""
    error = chunk.get("error")
    if error:
        return error
    if name == "error" or chunk.get("object") == "error":
        return chunk
    return None


def _mend_text(delta: Json) -> None:
    """Content is text: that of its parts where it came as parts, and nothing where it is null."""
    content = delta.pop("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
        delta["content"] = "".join(text for text in parts if isinstance(text, str))


def _mend_calls(delta: Json, calls: ToolCalls) -> bool:
    pieces = delta["tool_calls"]
    whole = [piece for piece in pieces if isinstance(piece, dict)] if isinstance(pieces, list) else []
    changed = not isinstance(pieces, list) or len(whole) != len(pieces)
    if changed:
        delta["tool_calls"] = whole
    for piece in whole:
        changed = calls.mend(piece) or changed
    return changed

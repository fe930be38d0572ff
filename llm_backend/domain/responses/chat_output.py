"""The answer of an upstream that knows only chat completions, as items."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from llm_backend.domain.items import prefix_of
from llm_backend.domain.responses import logprobs
from llm_backend.domain.responses.growing import COMPLETED, IN_PROGRESS, INCOMPLETE, Event, Item, Text
from llm_backend.domain.responses.in_turn import InTurn
from llm_backend.domain.responses.outputs import NewId
from llm_backend.domain.responses.voices import ARGUMENTS, INPUT, OUTPUT_TEXT, REASONING_TEXT, REFUSAL, Voice
from llm_backend.errors import Json, UpstreamInvalid
from llm_backend.streaming.tool_calls import ToolCalls, are_whole

_REASONS: Final[Mapping[str, str]] = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Why a response is incomplete, by the finish reason that a chat has for it."""
_CALLS: Final[Mapping[str, Voice]] = {"function": ARGUMENTS, "custom": INPUT}
"""How the kinds of a chat's calls speak."""
_OLD: Final = -1
"""Stands for the index of the one call that chats had before they had many."""


class _Speaking(NamedTuple):
    """A message or a reasoning that goes on, and the text in it that does."""

    item: Item
    text: Text


class ChatOutput:
    """One chat completion.

    Its calls may come in pieces in any order, and are told one after the other. One has ended when another begins and
    its arguments are whole; what comes behind one of which nobody can know that waits for the end of the answer.
    """

    response: Final = None

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._told = InTurn(_is_whole)
        self._speaking: _Speaking | None = None
        """What goes on but calls."""
        self._calls: dict[int, Item] = {}
        self._old_call = ToolCalls(self._call_id)
        self._finish_reason: Json = None

    @property
    def items(self) -> list[Event]:
        return [item.json for item in self._told.items]

    @property
    def incomplete_reason(self) -> str | None:
        reason = self._finish_reason
        return _REASONS.get(reason) if isinstance(reason, str) else None

    def take(self, chunk: Json) -> list[Event]:
        """The events that one chunk comes to, which `ChatChunks` has mended."""
        choices = chunk.get("choices")
        if not choices:
            return []
        choice = choices[0]
        delta = choice["delta"]
        speaking = self._speaking
        if speaking is not None and speaking.text.voice is OUTPUT_TEXT and _is_only_text(choice, delta):
            return self._told.tell(speaking.item, [speaking.text.say(delta["content"])])
        return self._take(choice, delta)

    def whole(self, content: Json) -> None:
        """Take a whole chat completion, as it came. Raises UpstreamInvalid where it has no message."""
        choices = content.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            raise UpstreamInvalid("The upstream's answer has no message.", outcome_unknown=True)
        self._take(
            choice, {**message, "content": _text_of(message.get("content")), "tool_calls": self._mended(message)}
        )
        self.close(is_cut=False)

    def close(self, *, is_cut: bool) -> list[Event]:
        """The events that end what is open. An answer that said nothing is an empty message."""
        items = self._told.items
        events = [] if items or is_cut else self._begin(OUTPUT_TEXT)[1]
        for item in items:
            is_broken = is_cut or (item is items[-1] and self.incomplete_reason is not None)
            if not is_broken:
                events += self._give_nothing(item)
            events += self._told.end(item, INCOMPLETE if is_broken else COMPLETED)
        self._speaking = None
        return events

    def text_place(self) -> tuple[str, int, int] | None:
        """(item_id, output_index, content_index) of the message's text that is told as it goes on; None: none is."""
        speaking = self._speaking
        if speaking is None or speaking.text.voice is not OUTPUT_TEXT or not self._told.has_turn(speaking.item):
            return None
        place = speaking.text.place
        return place["item_id"], place["output_index"], place["content_index"]

    def hear(self, texts: Sequence[str]) -> None:
        """Go on with the text at `text_place`; the caller tells of it."""
        if self._speaking is None or self.text_place() is None:
            raise AssertionError("Only a text that is told as it goes on is heard.")
        self._speaking.text.hear(texts)

    def _take(self, choice: Json, delta: Json) -> list[Event]:
        events = self._say(REASONING_TEXT, delta.get("reasoning_content") or delta.get("reasoning"))
        events += self._say_content(choice, delta)
        events += self._say(REFUSAL, delta.get("refusal"))
        for annotation in _listed(delta, "annotations"):
            events += self._annotate(annotation)
        for piece in _listed(delta, "tool_calls"):
            events += self._call(piece["index"], piece)
        if isinstance(delta.get("function_call"), dict):
            piece = {"index": 0, "function": dict(delta["function_call"])}
            self._old_call.mend(piece)
            events += self._call(_OLD, piece)
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        return events

    def _say_content(self, choice: Json, delta: Json) -> list[Event]:
        content = delta.get("content")
        told = choice.get("logprobs")
        likely = logprobs.kept(told.get("content")) if isinstance(content, str) and isinstance(told, dict) else []
        speaking = self._speaking
        if content == "" and likely and speaking is not None and speaking.text.voice is OUTPUT_TEXT:
            # A token that is a part of a character: its text comes with a later one.
            return self._told.tell(speaking.item, [speaking.text.say("", likely)])
        return self._say(OUTPUT_TEXT, content, likely)

    def _say(self, voice: Voice, said: Json, likely: Sequence[Json] = ()) -> list[Event]:
        if not said or not isinstance(said, str):
            return []
        speaking, events = self._begin(voice)
        return [*events, *self._told.tell(speaking.item, [speaking.text.say(said, likely)])]

    def _annotate(self, annotation: Json) -> list[Event]:
        """Only pages are cited in chats; what is none is left out."""
        cited = annotation.get("url_citation") if isinstance(annotation, dict) else None
        if not isinstance(cited, dict) or not isinstance(cited.get("url"), str):
            return []
        speaking, events = self._begin(OUTPUT_TEXT)
        bounds = {name: cited[name] if type(cited.get(name)) is int else 0 for name in ("start_index", "end_index")}
        title = cited["title"] if isinstance(cited.get("title"), str) else ""
        page = {"type": "url_citation", **bounds, "url": cited["url"], "title": title}
        return [*events, *self._told.tell(speaking.item, [speaking.text.annotate(page)])]

    def _begin(self, voice: Voice) -> tuple[_Speaking, list[Event]]:
        """What goes on or begins in this voice; what spoke otherwise has ended then."""
        speaking = self._speaking
        if speaking is not None and speaking.text.voice is voice:
            return speaking, []
        if speaking is None or speaking.item.kind != voice.item:
            events = self._fall_silent()
            item = self._new(_BEGINNINGS[voice.item])
            events += self._told.add(item)
        else:
            item, events = speaking.item, self._told.tell(speaking.item, speaking.text.ended())
        text, begun = item.open(voice)
        self._speaking = _Speaking(item, text)
        return self._speaking, [*events, *self._told.tell(item, begun)]

    def _fall_silent(self) -> list[Event]:
        speaking, self._speaking = self._speaking, None
        return [] if speaking is None else self._told.tell(speaking.item, speaking.item.finish({}, COMPLETED))

    def _call(self, index: int, piece: Json) -> list[Event]:
        """Go on with a call, or begin it."""
        kind = "custom" if isinstance(piece.get("custom"), dict) else "function"
        voice, body = _CALLS[kind], piece.get(kind) or {}
        item = self._calls.get(index)
        name = body.get("name") or ""
        events: list[Event] = []
        if item is None:
            events += self._fall_silent()
            called = {"type": voice.item, "status": IN_PROGRESS, voice.field: "", "call_id": piece["id"], "name": name}
            item = self._calls[index] = self._new(called)
            item.open(voice)
            events += self._told.add(item)
        else:
            item.fields["name"] += name
        if said := body.get(voice.field):
            events += self._say_in_call(item, voice, said)
        return events

    def _say_in_call(self, item: Item, voice: Voice, said: str) -> list[Event]:
        text, _ = item.text(voice)
        if item.is_done:
            if said.isspace():
                return []
            raise UpstreamInvalid("The upstream went on with a call that was whole.", outcome_unknown=True)
        # Some upstreams name all calls before they say what the first is given.
        passed = [] if text.has_begun else self._told.pass_on()
        return [*passed, *self._told.tell(item, [text.say(said)])]

    def _give_nothing(self, item: Item) -> list[Event]:
        """What a function is given is an object, if one without members: clients parse it."""
        text = item.known(ARGUMENTS) if item.kind == ARGUMENTS.item else None
        if text is None or text.said.strip():
            return []
        return self._told.tell(item, [text.say("{}")])

    def _new(self, fields: Mapping[str, Json]) -> Item:
        return Item(len(self._told.items), {"id": self._new_id(prefix_of(fields["type"])), **fields})

    def _mended(self, message: Json) -> list[Json]:
        """The calls of a whole message, as those of a stream are."""
        given = [piece for piece in _listed(message, "tool_calls") if isinstance(piece, dict)]
        pieces, calls = [], ToolCalls(self._call_id)
        for index, piece in enumerate(given):
            bodies = {kind: dict(piece[kind]) for kind in _CALLS if isinstance(piece.get(kind), dict)}
            pieces.append({**piece, **bodies, "index": index})
            calls.mend(pieces[-1])
        return pieces

    def _call_id(self) -> str:
        return self._new_id("call").removeprefix("call_")


_BEGINNINGS: Final[Mapping[str, Mapping[str, Json]]] = {
    "message": {"type": "message", "status": IN_PROGRESS, "content": [], "role": "assistant"},
    "reasoning": {"type": "reasoning", "summary": [], "content": [], "status": IN_PROGRESS},
}
"""What a new item of these types has, besides its id."""


def _is_whole(item: Item) -> bool:
    """Whether a call has all that it can have. What custom tools are given is any text."""
    text = item.known(ARGUMENTS) if item.kind == ARGUMENTS.item and item.fields["name"] else None
    return text is not None and are_whole(text.said)


def _is_only_text(choice: Json, delta: Json) -> bool:
    """Whether nothing is said but a piece of text, as in nearly all chunks."""
    is_text = len(delta) == 1 and bool(delta.get("content"))
    return is_text and not choice.get("logprobs") and not choice.get("finish_reason")


def _listed(delta: Json, name: str) -> list[Json]:
    value = delta.get(name)
    return value if isinstance(value, list) else []


def _text_of(content: Json) -> Json:
    """The text of a whole message, which some upstreams give as parts."""
    if not isinstance(content, list):
        return content
    texts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))

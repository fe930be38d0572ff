"""The answer of an upstream that knows responses, as items with ids of ours."""

from collections.abc import Callable, Mapping
from typing import Final

from llm_backend.domain.items import prefix_of
from llm_backend.domain.naming import OBJECT_ID
from llm_backend.domain.responses import logprobs
from llm_backend.domain.responses.growing import COMPLETED, INCOMPLETE, Event, Item, Text
from llm_backend.domain.responses.mending import begun, ended, invalid, mended, part, refuse_deep, refuse_nameless, said
from llm_backend.domain.responses.outputs import NewId
from llm_backend.domain.responses.voices import LISTS, OUTPUT_TEXT, SUMMARY_TEXT, VOICES, Voice, of_part
from llm_backend.errors import Json, UpstreamInvalid
from llm_backend.streaming.tool_calls import number

_OF_RESPONSES: Final = frozenset(
    f"response.{name}" for name in ("created", "queued", "in_progress", "completed", "incomplete", "failed")
)
"""Events about the answer as a whole."""
_FINALS: Final = {f"response.{status}": status for status in ("completed", "incomplete", "failed")}
"""How a response ended that does not say so itself, by its last event."""
_BROKEN: Final = ("incomplete", "failed", "cancelled", "queued", "in_progress")
"""How a response stands that ended before it was complete."""
_BOUND: Final = frozenset({"reasoning", "compaction"})
"""Items whose encrypted content, which may come late, is bound to their ids."""


class NativeOutput:
    """One response of the upstream's. What its events lack, and can be told, is added."""

    def __init__(self, new_id: NewId) -> None:
        self._new_id = new_id
        self._items: list[Item] = []
        self._by_id: dict[str, Item] = {}  # the upstream's id
        self._by_index: dict[int, Item] = {}  # the upstream's output index
        self._response: Event | None = None
        self._tells: Mapping[str, Callable[[Event], list[Event]]] = {
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.content_part.added": self._part_added,
            "response.content_part.done": self._part_done,
            # What vLLM calls the parts of a reasoning's content.
            "response.reasoning_part.added": self._part_added,
            "response.reasoning_part.done": self._part_done,
            "response.reasoning_summary_part.added": self._part_added,
            "response.reasoning_summary_part.done": self._part_done,
            "response.output_text.annotation.added": self._annotated,
        }

    @property
    def response(self) -> Event | None:
        """What the upstream said last of its response; None where it has not."""
        return self._response

    @property
    def items(self) -> list[Event]:
        return [item.json for item in self._items]

    @property
    def incomplete_reason(self) -> str | None:
        details = (self._response or {}).get("incomplete_details")
        reason = details.get("reason") if isinstance(details, dict) else None
        return reason if isinstance(reason, str) else None

    def take(self, event: Json) -> list[Event]:
        """The events that one of the upstream's comes to: none for those about the response as a whole."""
        kind = event.get("type")
        if not isinstance(kind, str):
            raise invalid("an event without a type")
        refuse_deep(event)
        if kind in _OF_RESPONSES:
            self._hear(event)
            return []
        told = {"type": kind, **{name: value for name, value in event.items() if name != "sequence_number"}}
        if kind in self._tells:
            return self._tells[kind](told)
        if kind in _DELTAS:
            return self._said(_DELTAS[kind], told)
        if kind in _DONES:
            return self._all_said(_DONES[kind], told)
        return self._of_another_kind(told)

    def whole(self, content: Json) -> None:
        refuse_deep(content)
        self._response = content
        self.close(is_cut=False)

    def close(self, *, is_cut: bool) -> list[Event]:
        """The events that end what is open, and tell of items that only the response itself has."""
        events: list[Event] = []
        response = self._response or {}
        status = INCOMPLETE if is_cut or response.get("status") in _BROKEN else COMPLETED
        # All of them are looked at before anything is told: where one is refused, nothing is lost of the others.
        for known, given in self._at_last(response.get("output"), is_cut=is_cut):
            item, added = (known, []) if known is not None else self._add(given, None)
            events += [*added, *item.finish(ended(given), status)]
        for item in self._items:
            events += item.finish({}, status)
        return events

    def _at_last(self, output: Json, *, is_cut: bool) -> list[tuple[Item | None, Event]]:
        """What the response itself says of its items, each with the one that is known already.

        Raises UpstreamInvalid for what is no item; of an answer that was cut it is left out.
        """
        if not isinstance(output, list | None) and not is_cut:
            raise invalid("an output that is no list")
        found: list[tuple[Item | None, Event]] = []
        for position, each in enumerate(output if isinstance(output, list) else []):
            try:
                given = mended(each)
                item = self._in_response(given, position)
                if item is None:
                    refuse_nameless(given)
                found.append((item, given))
            except UpstreamInvalid:
                if not is_cut:
                    raise
        return found

    def _hear(self, event: Event) -> None:
        response = event.get("response")
        if isinstance(response, dict):
            ended_as = _FINALS.get(event["type"])
            is_silent = ended_as is not None and response.get("status") is None
            self._response = {**response, "status": ended_as} if is_silent else response
        elif "output" in event:
            # A whole answer that was made an event of.
            self._response = {name: value for name, value in event.items() if name != "type"}

    def _in_response(self, given: Event, position: int) -> Item | None:
        """The item that the response's own list means: some upstreams give it another id there."""
        item = self._known(given)
        if item is None and position < len(self._items):
            item = self._items[position]
        return item if item is not None and item.kind == given.get("type") else None

    def _item_added(self, event: Event) -> list[Event]:
        given = mended(event.get("item"))
        known = self._known(given)
        if known is not None and not known.is_done:
            return []
        return self._add(given, number(event.get("output_index")))[1]

    def _item_done(self, event: Event) -> list[Event]:
        given = mended(event.get("item"))
        item = self._named({"item_id": given.get("id"), **event})
        if item is not None and item.is_done and item is self._known(given):
            return []
        events: list[Event] = []
        if item is None or item.is_done or item.kind != given.get("type"):
            item, events = self._add(given, number(event.get("output_index")))
        *before, done = item.finish(ended(given), COMPLETED)
        return [*events, *before, {**event, **done}]

    def _part_added(self, event: Event) -> list[Event]:
        given = part(event.get("part"))
        voice = self._voice(event, given)
        item, events = self._speaker(voice, event)
        at = number(event.get(voice.index_name))
        known = item.known(voice, at)
        if at is not None and known is not None and not known.is_ended:
            return events
        begun_so = item.open(voice, at, given)[1]
        return [*events, *({**event, **told} for told in begun_so)]

    def _part_done(self, event: Event) -> list[Event]:
        given = part(event.get("part"))
        voice = self._voice(event, given)
        if self._is_over(event):
            return []
        text, events = self._text(voice, event, given)
        events += text.settle(given)
        told = text.ended()
        return [*events, *told[:-1], *({**event, **done} for done in told[-1:])]

    def _annotated(self, event: Event) -> list[Event]:
        text, events = self._text(OUTPUT_TEXT, event)
        return [*events, {**event, **text.annotate(event.get("annotation"))}]

    def _said(self, voice: Voice, event: Event) -> list[Event]:
        delta = event.get("delta")
        if not isinstance(delta, str):
            raise invalid("a piece of text that is none")
        item, events = self._speaker(voice, event)
        text, added = item.text(voice, number(event.get(voice.index_name)))
        told = text.say(delta, logprobs.kept(event.get("logprobs")))
        return [*events, *added, {**event, **told}]

    def _all_said(self, voice: Voice, event: Event) -> list[Event]:
        if self._is_over(event):
            return []
        whole = said(event.get(voice.field), voice)
        text, events = self._text(voice, event)
        events += text.settle({voice.field: whole, "logprobs": event.get("logprobs")})
        return [*events, *({**event, **told} for told in text.finished())]

    def _of_another_kind(self, event: Event) -> list[Event]:
        """Any other event, of the items that it is about; one about an item that nobody knows tells nothing."""
        inner = event.get("item")
        named = {"item_id": inner["id"], **event} if isinstance(inner, dict) and "id" in inner else event
        if "item_id" not in named and "output_index" not in named:
            return [event]
        item = self._named(named)
        if item is None:
            return []
        told = {**event, "item_id": item.id, "output_index": item.index}
        return [told | ({"item": {**inner, "id": item.id}} if isinstance(inner, dict) else {})]

    def _text(self, voice: Voice, event: Event, given: Event | None = None) -> tuple[Text, list[Event]]:
        """The text that an event is about, ended or not, begun where nobody knows of it. `given`: what its part has."""
        item, events = self._speaker(voice, event)
        at = number(event.get(voice.index_name))
        known = item.known(voice, at)
        if known is not None:
            return known, events
        text, added = item.open(voice, at, given)
        return text, events + added

    def _voice(self, event: Event, given: Event) -> Voice:
        """In which voice a part speaks that an event tells of."""
        if event["type"].startswith(SUMMARY_TEXT.part_events):
            return SUMMARY_TEXT
        item = self._named(event)
        return of_part(given["type"], item.kind if item is not None and item.kind in LISTS else "message", "content")

    def _is_over(self, event: Event) -> bool:
        """Whether the event tells of the end of something in an item that has ended already."""
        item = self._named(event)
        return item is not None and item.is_done

    def _known(self, given: Event) -> Item | None:
        """The item that the upstream gave this id."""
        upstream_id = given.get("id")
        return self._by_id.get(upstream_id) if isinstance(upstream_id, str) else None

    def _named(self, event: Event) -> Item | None:
        """The item that an event is about: the latest, where it names none."""
        upstream_id, index = event.get("item_id"), number(event.get("output_index"))
        if isinstance(upstream_id, str) and upstream_id in self._by_id:
            return self._by_id[upstream_id]
        if index is not None:
            return self._by_index.get(index)
        return self._items[-1] if self._items and not upstream_id else None

    def _speaker(self, voice: Voice, event: Event) -> tuple[Item, list[Event]]:
        """The item that speaks so, added where the upstream did not. Raises UpstreamInvalid where it cannot be."""
        for item in (self._named(event), *self._items[-1:]):
            if item is not None and item.kind == voice.item and not item.is_done:
                return item, []
        if voice.item not in LISTS:
            raise invalid(f"a part of a {voice.item} that had not begun, or had ended")
        return self._add({"type": voice.item, "id": event.get("item_id")}, number(event.get("output_index")))

    def _add(self, given: Event, index: int | None) -> tuple[Item, list[Event]]:
        """Begin an item; `index`: where the upstream says that it stands."""
        fields = begun(given, self._new_id)
        upstream_id = given.get("id")
        item = Item(len(self._items), {"id": self._id_for(given, fields["type"]), **fields})
        self._items.append(item)
        if isinstance(upstream_id, str):
            self._by_id[upstream_id] = item
        if index is not None:
            self._by_index[index] = item
        return item, [item.added()]

    def _id_for(self, given: Event, kind: str) -> str:
        own = given.get("id")
        is_bound = kind in _BOUND or bool(given.get("encrypted_content"))
        if is_bound and isinstance(own, str) and OBJECT_ID.fullmatch(own) and own not in self._by_id:
            return own
        return self._new_id(prefix_of(kind))


_DELTAS: Final[Mapping[str, Voice]] = {f"{voice.events}.delta": voice for voice in VOICES}
_DONES: Final[Mapping[str, Voice]] = {f"{voice.events}.done": voice for voice in VOICES}

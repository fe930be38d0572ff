"""Items while they grow: the texts that they say in pieces, and the events that tell of both."""

from collections.abc import Sequence
from typing import Final

from llm_backend.domain.items import CALLS
from llm_backend.domain.responses import logprobs
from llm_backend.domain.responses.voices import LISTS, OF_ITEMS, OUTPUT_TEXT, Voice, of_part
from llm_backend.errors import Json

Event = dict[str, Json]
"""A JSON object: of events, with their `type` first and without a number."""

IN_PROGRESS: Final = "in_progress"
COMPLETED: Final = "completed"
INCOMPLETE: Final = "incomplete"

_FAILS: Final = frozenset({"web_search_call", "image_generation_call"})
"""Items that fail where others are incomplete."""
_BREAKS: Final = frozenset({"message", "reasoning", *CALLS})
"""Items that are said to be incomplete even where nothing was said of their status."""


class Text:
    """A text of an item: of one of its parts, or its own."""

    __slots__ = ("_delta", "_item", "_logprobs", "_part", "_pieces", "is_ended", "is_said", "place", "voice")

    def __init__(self, voice: Voice, place: Event, part: Event, item: Event) -> None:
        """`place`: how its events say whose text it is. `part`, `item`: what both have besides."""
        self.voice = voice
        self.place = place
        self.is_said = False
        """Whether it was told that no more of it comes."""
        self.is_ended = False
        """Whether the same was told of the part around it."""
        self._part = part
        self._item = item
        self._pieces: list[str] = []
        self._logprobs: list[Json] = []
        self._delta: Event = {"type": f"{voice.events}.delta", **place}

    def say(self, piece: str, likely: Sequence[Json] = ()) -> Event:
        """Go on with `piece`; `likely`: its logprobs, as parts have them."""
        self._pieces.append(piece)
        if self.voice is not OUTPUT_TEXT:
            return {**self._delta, "delta": piece}
        if not likely:
            return {**self._delta, "delta": piece, "logprobs": []}
        self._logprobs += likely
        return {**self._delta, "delta": piece, "logprobs": logprobs.told(likely)}

    def hear(self, pieces: Sequence[str]) -> None:
        """Go on with `pieces`, of which somebody else tells."""
        self._pieces += pieces

    def annotate(self, annotation: Json) -> Event:
        """Add an annotation to its part."""
        annotations = self._part.setdefault("annotations", [])
        annotations.append(annotation)
        kind = "response.output_text.annotation.added"
        return {"type": kind, **self.place, "annotation_index": len(annotations) - 1, "annotation": annotation}

    def settle(self, final: Event) -> list[Event]:
        """Take what the upstream says of it in the end; tells of the text what goes on from what was told."""
        whole = final.get(self.voice.field)
        events: list[Event] = []
        if isinstance(whole, str) and whole:
            said = self.said
            if not self.is_said and whole != said and whole.startswith(said):
                events.append(self.say(whole.removeprefix(said)))
            self._pieces = [whole]
        if likely := logprobs.kept(final.get("logprobs")):
            self._logprobs = likely
        ours = ("type", "logprobs", self.voice.field)
        self._part |= {name: value for name, value in final.items() if name not in ours and value}
        return events

    @property
    def has_begun(self) -> bool:
        """Whether any of it has come."""
        return bool(self._pieces)

    @property
    def said(self) -> str:
        """All of it so far."""
        return "".join(self._pieces)

    @property
    def part(self) -> Event:
        """The part as it stands; later annotations do not change it."""
        part = {name: list(value) if isinstance(value, list) else value for name, value in self._part.items()}
        if self.voice.field:
            part[self.voice.field] = self.said
        return {**part, "logprobs": list(self._logprobs)} if self.voice is OUTPUT_TEXT else part

    def begun(self) -> list[Event]:
        """What tells of its part; nothing where it has none."""
        if self.voice.part is None:
            return []
        return [{"type": f"{self.voice.part_events}.added", **self.place, "part": self.part}]

    def finished(self) -> list[Event]:
        """What tells that no more of the text comes, where that was not told yet."""
        if self.is_said or not self.voice.events:
            return []
        self.is_said = True
        repeated: Event = {name: self._item[name] for name in self.voice.repeated}
        likely: Event = {"logprobs": logprobs.told(self._logprobs)} if self.voice is OUTPUT_TEXT else {}
        return [{"type": f"{self.voice.events}.done", **self.place, **repeated, self.voice.field: self.said, **likely}]

    def ended(self) -> list[Event]:
        """What ends the text and its part, as far as that was not told yet."""
        if self.is_ended:
            return []
        events = self.finished()
        self.is_ended = True
        if self.voice.part is not None:
            events.append({"type": f"{self.voice.part_events}.done", **self.place, "part": self.part})
        return events


class Item:
    """One item: its texts, and whatever else it has."""

    def __init__(self, index: int, fields: Event) -> None:
        """`index`: where it stands in the output. `fields`: what it has besides its texts, `id` and `type` among it."""
        self.index = index
        self.fields = fields
        self.is_done = False
        self._texts: list[Text] = []
        self._at: dict[tuple[str, int], Text] = {}  # (list, the upstream's index) -> the latest part there

    @property
    def id(self) -> str:
        return str(self.fields["id"])

    @property
    def kind(self) -> str:
        return str(self.fields["type"])

    @property
    def json(self) -> Event:
        """The item as it stands."""
        item = dict(self.fields)
        for name in LISTS.get(self.kind, ()):
            if parts := self._parts(name):
                item[name] = [text.part for text in parts]
        voice = OF_ITEMS.get(self.kind)
        if voice is not None and self._texts:
            item[voice.field] = self._texts[0].said
        return item

    def added(self) -> Event:
        return {"type": "response.output_item.added", "output_index": self.index, "item": self.json}

    def text(self, voice: Voice, at: int | None = None) -> tuple[Text, list[Event]]:
        """The text that goes on in this voice, opened where there is none, and the events that tell of that.

        `at`: where the upstream says that its part stands; None: the latest.
        """
        found = self.known(voice, at)
        is_open = found is not None and (voice.part is None or not found.is_said)
        return (found, []) if found is not None and is_open else self.open(voice, at)

    def known(self, voice: Voice, at: int | None = None) -> Text | None:
        """The latest text there, ended or not; None where there is none in this voice."""
        if voice.part is None:
            return self._texts[0] if self._texts else None
        parts = self._parts(voice.parts)
        found = (parts[-1] if parts else None) if at is None else self._at.get((voice.parts, at))
        return found if found is not None and found.voice == voice else None

    def open(self, voice: Voice, at: int | None = None, part: Event | None = None) -> tuple[Text, list[Event]]:
        """Begin another text, with what tells of it. `part`: what the upstream says of its part."""
        place: Event = {"item_id": self.id, "output_index": self.index}
        if voice.part is not None:
            index = len(self._parts(voice.parts))
            place[voice.index_name] = index
        text = Text(voice, place, _part_of(voice, part or {}), self.fields)
        if voice.part is not None:
            self._at[voice.parts, index if at is None else at] = text
        self._texts.append(text)
        return text, text.begun()

    def finish(self, final: Event, status: str) -> list[Event]:
        """End the item, once, and tell all of it that was not told.

        `final`: what the upstream says of it in the end, empty where it said nothing. `status`: for an item that
        still seems to be in progress then.
        """
        if self.is_done:
            return []
        events = self._settle(final)
        for text in self._texts:
            events += text.ended()
        self.is_done = True
        held = {"id", OF_ITEMS[self.kind].field if self.kind in OF_ITEMS else "", *LISTS.get(self.kind, ())}
        self.fields |= {name: value for name, value in final.items() if name not in held}
        self._end_as(status, is_told=bool(final))
        return [*events, {"type": "response.output_item.done", "output_index": self.index, "item": self.json}]

    def _end_as(self, status: str, *, is_told: bool) -> None:
        is_broken = status == INCOMPLETE and not is_told and self.kind in _BREAKS and "status" not in self.fields
        if is_broken or self.fields.get("status") == IN_PROGRESS:
            self.fields["status"] = "failed" if status == INCOMPLETE and self.kind in _FAILS else status

    def _settle(self, final: Event) -> list[Event]:
        events: list[Event] = []
        for name in LISTS.get(self.kind, ()):
            given = final.get(name)
            for position, part in enumerate(_parts_in(given)):
                events += self._settle_part(name, position, part)
        voice = OF_ITEMS.get(self.kind)
        if voice is not None and isinstance(final.get(voice.field), str):
            text, begun = self.text(voice)
            events += [*begun, *text.settle({voice.field: final[voice.field]})]
        return events

    def _settle_part(self, name: str, position: int, part: Event) -> list[Event]:
        """Take the part at `position` in the end; one that was told as another kind stays what was told."""
        parts = self._parts(name)
        voice = of_part(part["type"], self.kind, name)
        if position < len(parts):
            return parts[position].settle(part) if parts[position].voice == voice else []
        text, events = self.open(voice, part=part)
        return [*events, *text.settle(part)]

    def _parts(self, name: str) -> list[Text]:
        return [text for text in self._texts if text.voice.part is not None and text.voice.parts == name]


def _parts_in(given: Json) -> list[Event]:
    parts = given if isinstance(given, list) else []
    return [part for part in parts if isinstance(part, dict) and isinstance(part.get("type"), str)]


def _part_of(voice: Voice, part: Event) -> Event:
    """A part without its text: annotations and logprobs come later, or in the end."""
    if not voice.field:
        return dict(part)
    fields = {name: value for name, value in part.items() if name not in {"annotations", "logprobs", voice.field}}
    annotations: Event = {"annotations": []} if voice is OUTPUT_TEXT else {}
    return {"type": voice.part, **fields, **annotations}

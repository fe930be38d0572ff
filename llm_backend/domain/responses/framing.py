"""The events of one response on the wire: numbered from 0 without a gap, each named by its type."""

from collections.abc import Iterable

import orjson

from llm_backend.domain.responses.draft import Draft
from llm_backend.domain.responses.outputs import Output
from llm_backend.domain.responses.shown import QUEUED
from llm_backend.errors import Json, LLMBackendError
from llm_backend.streaming.sse import ascii_json, frame


class Framing:
    """Counts them."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._judge = draft.judge
        self.number = 0
        """Of the next event."""

    def framed(self, event: dict[str, Json]) -> bytes:
        """One event, with what its client is told of the item that it is about."""
        kind = event["type"]
        if "item" in event:
            event = {**event, "item": self._draft.told_item(event["item"])}
        told = {"type": kind, "sequence_number": self.number, **event}
        if self._judge is not None:
            self._judge.see(told)
        self.number += 1
        return frame(ascii_json(told), kind)

    def texts(self, place: tuple[str, int, int], texts: Iterable[str]) -> bytes:
        """Events of text alone, of which there are most: written without looking at each."""
        item_id, output_index, content_index = place
        frames = []
        for text in texts:
            frames.append(
                b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":%d,'
                b'"item_id":"%b","output_index":%d,"content_index":%d,"delta":%b,"logprobs":[]}\n\n'
                % (self.number, item_id.encode(), output_index, content_index, ascii_json(text))
            )
            self.number += 1
        if self._judge is not None:
            for each in frames:
                self._judge.see(orjson.loads(each.partition(b"\ndata: ")[2]))
        return b"".join(frames)

    def opening(self, output: Output | None) -> bytes:
        """The events that each response begins with."""
        begun = self._draft.told(output)
        told = [("created", begun), ("in_progress", begun)]
        if self._draft.is_background:
            queued = begun | {"status": QUEUED.status}
            told = [("created", queued), ("queued", queued), ("in_progress", begun)]
        return b"".join(self.framed({"type": f"response.{name}", "response": each}) for name, each in told)

    def final(self, told: dict[str, Json]) -> bytes:
        """The event that each ends with. There is none for those that were cancelled: what they have is incomplete."""
        name = "incomplete" if told["status"] == "cancelled" else told["status"]
        return self.framed({"type": f"response.{name}", "response": told})

    def error(self, error: LLMBackendError) -> bytes:
        """What a stream ends with that did not even begin, when it is too late for a status."""
        said = error.envelope()["error"]
        return self.framed({"type": "error", **{name: said[name] for name in ("code", "message", "param")}})

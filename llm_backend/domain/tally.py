"""What a stream has given so far: counted by bytes, so that it costs next to nothing while it runs."""

from collections.abc import Iterable

from llm_backend.errors import Json
from llm_backend.streaming.mould import TEXTS

MEDIA = ("b64_json", "audio")
"""Where events hold a picture, or a piece of a sound."""


class Tally:
    """Counts the text that the upstream sent, whether or not anyone was there to receive it."""

    def __init__(self) -> None:
        self.text_bytes = 0
        self._texts: list[bytes] = []
        self.deltas = 0
        """Chunks that held text: a sure lower bound of the tokens."""
        self.has_come = False
        """Whether there is anything of an answer: a text, a picture, a sound."""

    @property
    def text(self) -> str:
        """All of it, for the tokenizer, where the upstream does not say what it used."""
        return b"".join(self._texts).decode("utf-8", "surrogatepass")

    def see(self, chunk: Json) -> None:
        """Take one parsed chunk, of chat (`delta`) or of completions (`text`), or an event that says a `delta`."""
        before = self.text_bytes
        self._add(chunk.get("delta"))
        for choice in objects(chunk.get("choices")):
            self._add(choice.get("text"))
            self._see_delta(choice.get("delta"))
        self.deltas += self.text_bytes > before
        self.has_come = self.has_come or self.deltas > 0 or any(chunk.get(name) for name in MEDIA)

    def hear(self, texts: Iterable[bytes]) -> None:
        """Take chunks of which each says one text, in UTF-8, and nothing else."""
        for text in texts:
            if text:
                self._texts.append(text)
                self.text_bytes += len(text)
                self.deltas += 1
                self.has_come = True

    def _see_delta(self, delta: Json) -> None:
        if not isinstance(delta, dict):
            return
        for name in TEXTS:
            self._add(delta.get(name))
        for call in objects(delta.get("tool_calls")):
            function = call.get("function")
            if isinstance(function, dict):
                self._add(function.get("name"))
                self._add(function.get("arguments"))

    def _add(self, text: Json) -> None:
        if text and isinstance(text, str):
            written = text.encode("utf-8", "surrogatepass")
            self._texts.append(written)
            self.text_bytes += len(written)


def objects(value: Json) -> list[dict[str, Json]]:
    """The objects of a list: none where an upstream sent something else in its place."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

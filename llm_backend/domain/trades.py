"""What the operations that an upstream answers differ in."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Protocol

from llm_backend.domain.bench import Bench
from llm_backend.domain.defaults import completed
from llm_backend.domain.extras import SEALED_THOUGHTS, Extra
from llm_backend.domain.fitting import Compacting, Continuing, Fitting, Reading
from llm_backend.domain.media import Hearing, Pictures, Speech
from llm_backend.domain.responses.chat_request import chat_body
from llm_backend.domain.responses.summarizing import summary_body
from llm_backend.domain.sizing import Sizing
from llm_backend.domain.work import Work
from llm_backend.errors import Json
from llm_backend.streaming.admitted import Admitted
from llm_backend.streaming.chunks import ChatChunks, TextChunks
from llm_backend.streaming.mould import Mould
from llm_backend.streaming.sse import EVENT_LIMIT
from llm_backend.streaming.typed_events import typed
from llm_backend.upstream.bodies import BODY_LIMIT
from llm_backend.upstream.routing import Route


class Events(Protocol):
    """One stream's events, judged as they come."""

    @property
    def usage(self) -> Json:
        """What the upstream said was used; None where it said nothing."""
        ...

    @property
    def ending(self) -> bytes:
        """What the client gets at a good end, framed."""
        ...

    @property
    def finished(self) -> bool:
        """Whether nothing is missing of the answer."""
        ...

    @property
    def mould(self) -> Mould | None:
        """The shape of events that need not be admitted one by one; None where there is none, or not yet."""
        ...

    def admit(self, data: bytes, name: str | None = None) -> Admitted:
        """What one event comes to. Raises UpstreamInvalid."""
        ...

    def done(self) -> None:
        """Note that `[DONE]` came."""
        ...

    def conclude(self) -> tuple[bytes, ...]:
        """What is still owed before that."""
        ...


class MakeEvents(Protocol):
    """Makes the judge of one stream."""

    def __call__(
        self, *, wants_usage: bool, model: str | None, created: int, new_id: Callable[[], str], answer_id: str | None
    ) -> Events: ...


@dataclass(frozen=True, slots=True)
class Usual:
    """The model that OpenAI takes where a request names none, and parts of the ids of others that can do the same."""

    model: str
    marks: tuple[str, ...]

    def of(self, listed: Collection[str], allows: Callable[[str], bool]) -> str:
        """The usual one; where it is not listed or not allowed, the first that is and seems to do the same."""
        if self.model in listed and allows(self.model):
            return self.model
        others = (name for name in listed if any(mark in name.lower() for mark in self.marks) and allows(name))
        return next(others, self.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One operation's, or one kind of operation's."""

    path: str
    """Below an upstream's base URL."""
    sizing: Callable[[Work, Route, Bench], Sizing]
    """What it may use, and has used."""
    contents: str | None = None
    """The list or text without which a whole answer in JSON is none."""
    events: MakeEvents | None = None
    """None where it does not stream."""
    whole_as: str | None = None
    """The event that a whole answer is, of a model that takes no notice of being asked for a stream."""
    asks_usage: bool = False
    """Whether a stream says what it used only where it is asked to."""
    tells_usage: bool = True
    """Whether a good upstream says, in JSON or as events, what was used."""
    usual: Usual | None = None
    """What answers where the request names no model; None where it has to."""
    answer_bytes: int = BODY_LIMIT
    """The largest whole answer that is read."""
    event_bytes: int = EVENT_LIMIT
    """The largest event."""
    extra: Extra | None = None
    """What is asked for whether or not the client asks for it."""
    in_chat: "Trade | None" = None
    """What is asked for in its place of an upstream that has chats only; None: the same."""
    written: Callable[[Json], dict[str, Json]] | None = None
    """How the body of what it stands in for is written; None: as it is. Raises InvalidRequest where that cannot be."""

    def at(self, route: Route) -> "Trade":
        """What is asked for at `route`."""
        return self if self.in_chat is None or route.upstream.manner.has_responses else self.in_chat

    def sized(self, work: Work, route: Route, bench: Bench) -> Sizing:
        """What `work` may use at `route`, with what is set there where the client says nothing.

        Raises InvalidRequest where it cannot be asked for there.
        """
        there = self.at(route)
        # A form goes on as it came.
        defaults = route.model.defaults if route.model and work.form is None else {}
        body = completed(there.written(work.body) if there.written else work.body, defaults)
        asked = work if body is work.body else work._replace(body=body, path=there.path)
        return there.sizing(asked, route, bench)


PICTURES_BYTES = 64 * 1024 * 1024
"""Ten pictures of high quality, in base64."""


def _pictures(path: str, usual: str, *finals: str) -> Trade:
    return Trade(
        path=path,
        sizing=Pictures,
        contents="data",
        events=typed(*finals) if finals else None,
        answer_bytes=PICTURES_BYTES,
        event_bytes=PICTURES_BYTES,
        # What streams counts tokens too; older models, which do not, say nothing of what they used.
        tells_usage=bool(finals),
        usual=Usual(usual, ("image", "dall-e")),
    )


CHAT = Trade(path="/chat/completions", sizing=Fitting, contents="choices", events=ChatChunks, asks_usage=True)
COMPLETIONS = Trade(path="/completions", sizing=Continuing, contents="choices", events=TextChunks, asks_usage=True)
EMBEDDINGS = Trade(path="/embeddings", sizing=Reading, contents="data")
MODERATIONS = Trade(
    path="/moderations",
    sizing=Reading,
    contents="results",
    tells_usage=False,
    usual=Usual("omni-moderation-latest", ("moderation",)),
)
RESPONSES = Trade(
    path="/responses",
    sizing=Fitting,
    contents="output",
    events=typed("response.completed", "response.incomplete", "response.failed"),
    extra=SEALED_THOUGHTS,
    in_chat=replace(CHAT, written=chat_body),
)
COMPACTIONS = Trade(
    path="/responses/compact",
    sizing=Compacting,
    contents="output",
    in_chat=replace(CHAT, written=summary_body),
)
SPEECH = Trade(path="/audio/speech", sizing=Speech, events=typed("speech.audio.done", is_named=False))
TRANSCRIPTIONS = Trade(
    path="/audio/transcriptions",
    sizing=Hearing,
    contents="text",
    events=typed("transcript.text.done", is_named=False, ends_in_done=True),
    whole_as="transcript.text.done",
)
TRANSLATIONS = Trade(path="/audio/translations", sizing=Hearing, contents="text", tells_usage=False)
IMAGES = _pictures("/images/generations", "gpt-image-1", "image_generation.completed")
IMAGE_EDITS = _pictures("/images/edits", "gpt-image-1", "image_edit.completed")
IMAGE_VARIATIONS = _pictures("/images/variations", "dall-e-2")

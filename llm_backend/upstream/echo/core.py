"""The echo model: from a request's bytes to the script of its answer. No clock, no chance, no network."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final
from urllib.parse import unquote

from llm_backend.errors import Json
from llm_backend.upstream.echo import faults
from llm_backend.upstream.echo.calls import Call, Calls
from llm_backend.upstream.echo.chat import speak
from llm_backend.upstream.echo.chat_wire import Answer
from llm_backend.upstream.echo.completions import complete
from llm_backend.upstream.echo.conversation import converse
from llm_backend.upstream.echo.directives import Directives, Fault, fault_of
from llm_backend.upstream.echo.embeddings import embed
from llm_backend.upstream.echo.events import Event, frames
from llm_backend.upstream.echo.models import REASONING, Models
from llm_backend.upstream.echo.request import parsed
from llm_backend.upstream.echo.script import Refusal, Script, Step, Wait, json_script

_STREAM_HEADERS: Final[Mapping[str, str]] = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
}
_MOST_ATTEMPTS_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """An answer that is known and not yet on the wire."""

    directives: Directives
    prompt_tokens: int
    whole: Callable[[], Event]
    events: Callable[[], Iterator[Event]] | None = None
    """None where the operation does not stream."""


class Echo:
    """Answers calls and keeps a log of them. `models`: further ids that answer as `echo` does."""

    def __init__(self, *, models: tuple[str, ...] = (), kept_calls: int = 1000) -> None:
        self.calls = Calls(kept_calls)
        self._models = Models(models)
        self._attempts: OrderedDict[str, int] = OrderedDict()
        self._operations: Mapping[str, Callable[[Mapping[str, Json], str], Prepared]] = {
            "/chat/completions": _chat,
            "/completions": _completion,
            "/embeddings": _embedding,
        }

    def answer(self, method: str, path: str, body: bytes | None = None) -> tuple[Script, Call]:
        """The script for one call below the base URL, and the log's entry, which its player writes on."""
        call = self.calls.begin(method, path)
        try:
            script = self._answered(method, path, body, call)
        except Refusal as refusal:
            script = refusal.script()
        digest = sha256(f"{method} {path}".encode() + (body or b"")).hexdigest()
        return replace(script, headers={**_openai_headers(digest), **script.headers}), call

    def _answered(self, method: str, path: str, body: bytes | None, call: Call) -> Script:
        if method == "GET" and path == "/models":
            return json_script(self._models.listing())
        if method == "GET" and path.startswith("/models/"):
            return json_script(self._models.retrieved(unquote(path.removeprefix("/models/"))))
        operation = self._operations.get(path)
        if method != "POST" or operation is None:
            raise Refusal(f"Invalid URL ({method} {path[:100]})", status=404, code="unknown_url")
        request = parsed(body)
        call.model, call.stream = request["model"], request.get("stream") is True
        self._models.check(request["model"])
        digest = sha256(path.encode() + (body or b"")).hexdigest()
        prepared = operation(request, digest)
        return self._scripted(prepared, request, self._struck(prepared.directives, request["model"], digest))

    def _scripted(self, prepared: Prepared, request: Mapping[str, Json], fault: Fault | None) -> Script:
        directives = prepared.directives
        script = faults.replaced(fault)
        if script is None:
            streams = request.get("stream") is True and not (fault and fault.name == faults.WHOLE)
            made = _streamed if streams and prepared.events else _whole
            script = replace(made(prepared, fault), prompt_tokens=prepared.prompt_tokens)
        script = faults.in_script(replace(script, steps=_spaced(script.steps, directives.between_seconds)), fault)
        delay = (Wait(directives.delay_seconds),) if directives.delay_seconds else ()
        return replace(script, before=(*delay, *script.before))

    def _struck(self, directives: Directives, model: str, digest: str) -> Fault | None:
        """The fault, where this attempt is one that it strikes: the first `times`, or one of `every`."""
        fault = directives.fault or fault_of(model)
        if fault is None:
            return None
        faults.check(fault)
        if "times" in fault.options and self._attempt(f"{fault}{digest}") > fault.number("times", 1):
            return None
        every = max(1, fault.number("every", 1))
        return fault if every == 1 or self._attempt(str(fault)) % every == 1 else None

    def _attempt(self, key: str) -> int:
        """Which attempt this is, counted from 1; the longest unasked are forgotten."""
        self._attempts[key] = self._attempts.pop(key, 0) + 1
        if len(self._attempts) > _MOST_ATTEMPTS_KEPT:
            self._attempts.popitem(last=False)
        return self._attempts[key]


def _chat(request: Mapping[str, Json], digest: str) -> Prepared:
    conversation = converse(request, reasons=request["model"] == REASONING)
    answer = Answer(conversation, speak(conversation, digest), digest)
    return Prepared(conversation.directives, conversation.prompt_tokens, answer.whole, answer.events)


def _completion(request: Mapping[str, Json], digest: str) -> Prepared:
    completion = complete(request, digest)
    return Prepared(completion.directives, completion.prompt_tokens, completion.whole, completion.events)


def _embedding(request: Mapping[str, Json], _digest: str) -> Prepared:
    directives, event = embed(request)
    return Prepared(directives, event.payload["usage"]["prompt_tokens"], lambda: event)


def _whole(prepared: Prepared, fault: Fault | None) -> Script:
    event = next(faults.in_events(iter((prepared.whole(),)), fault))
    return faults.halved(json_script(event.payload, tokens=event.tokens), fault)


def _streamed(prepared: Prepared, fault: Fault | None) -> Script:
    assert prepared.events is not None
    events = faults.in_events(prepared.events(), fault)
    return Script(200, _STREAM_HEADERS, faults.in_steps(frames(events), fault))


def _spaced(steps: Iterable[Step], between_seconds: float) -> Iterable[Step]:
    """A pause before each step but the first."""
    if not between_seconds:
        return steps
    pause = Wait(between_seconds)
    return (part for index, step in enumerate(steps) for part in ((pause, step) if index else (step,)))


def _openai_headers(digest: str) -> dict[str, str]:
    return {"x-request-id": f"req_{digest[:32]}", "openai-version": "2020-10-01", "openai-processing-ms": "1"}

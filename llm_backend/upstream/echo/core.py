"""The echo model: from a request's bytes to the script of its answer. No clock, no network, no chance but in ids."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import unquote

from llm_backend.upstream.echo import faults
from llm_backend.upstream.echo.calls import Call, Calls
from llm_backend.upstream.echo.directives import Directives, Fault, fault_of
from llm_backend.upstream.echo.events import frames
from llm_backend.upstream.echo.models import Models
from llm_backend.upstream.echo.objects import Objects
from llm_backend.upstream.echo.operations import OPERATIONS
from llm_backend.upstream.echo.prepared import Blob, Prepared
from llm_backend.upstream.echo.request import digest_of, read
from llm_backend.upstream.echo.script import Refusal, Script, Send, Step, Wait, json_script
from llm_backend.upstream.forms import Form

_STREAM_HEADERS: Final[Mapping[str, str]] = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
}
_MOST_ATTEMPTS_KEPT = 10_000


class Echo:
    """Answers calls and keeps a log of them. `models`: further ids that answer as `echo` does."""

    def __init__(self, *, models: tuple[str, ...] = (), kept_calls: int = 1000) -> None:
        self.calls = Calls(kept_calls)
        self._models = Models(models)
        self._objects = Objects()
        self._operations = {**OPERATIONS, **self._objects.operations}
        self._attempts: OrderedDict[str, int] = OrderedDict()

    def answer(self, method: str, path: str, body: bytes | Form | None = None, query: str = "") -> tuple[Script, Call]:
        """The script for one call below the base URL, and the log's entry, which its player writes on.

        `query`: encoded, without its `?`. A form is read here, and may be closed after.
        """
        call = self.calls.begin(method, path)
        try:
            script = self._answered(method, path, body, query, call)
        except Refusal as refusal:
            script = refusal.script()
        digest = digest_of(f"{method} {path}", body)
        return replace(script, headers={**_openai_headers(digest), **script.headers}), call

    def _answered(self, method: str, path: str, body: bytes | Form | None, query: str, call: Call) -> Script:
        if method == "GET" and path == "/models":
            return json_script(self._models.listing())
        if method == "GET" and path.startswith("/models/"):
            return json_script(self._models.retrieved(unquote(path.removeprefix("/models/"))))
        operation = self._operations.get(path) if method == "POST" else None
        if operation is None:
            return self._kept(method, path, body, query)
        request = read(path, body)
        model = request.model(operation.model)
        call.model = model
        self._models.check(model)
        prepared = operation.prepare(request.of_model(model))
        call.stream = prepared.streams
        return self._scripted(prepared, self._struck(prepared.directives, model, request.digest))

    def _kept(self, method: str, path: str, body: bytes | Form | None, query: str) -> Script:
        prepared = self._objects.prepared(method, path, query, body)
        if prepared is None:
            raise Refusal(f"Invalid URL ({method} {path[:100]})", status=404, code="unknown_url")
        return self._scripted(prepared, self._struck(prepared.directives, "", digest_of(path, body)))

    def _scripted(self, prepared: Prepared, fault: Fault | None) -> Script:
        directives = prepared.directives
        script = faults.replaced(fault)
        if script is None:
            streams = prepared.streams and not (fault and fault.name == faults.WHOLE)
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


def _whole(prepared: Prepared, fault: Fault | None) -> Script:
    answer = prepared.whole()
    if isinstance(answer, Blob):
        return faults.halved(_blob(answer), fault)
    event = next(faults.in_events(iter((answer,)), fault))
    return faults.halved(json_script(event.payload, tokens=event.tokens), fault)


def _blob(answer: Blob) -> Script:
    """The first piece carries the tokens: the rest is made while it is read."""
    headers = {"content-type": answer.content_type, "content-length": str(answer.size)}
    sends = (Send(piece, 0 if index else answer.tokens) for index, piece in enumerate(answer.pieces))
    return Script(200, headers, sends)


def _streamed(prepared: Prepared, fault: Fault | None) -> Script:
    assert prepared.events is not None
    events = faults.in_events(prepared.events(), fault)
    sends = frames(events, ends_in_done=prepared.ends_in_done)
    return Script(200, _STREAM_HEADERS, faults.in_steps(sends, fault))


def _spaced(steps: Iterable[Step], between_seconds: float) -> Iterable[Step]:
    """A pause before each step but the first."""
    if not between_seconds:
        return steps
    pause = Wait(between_seconds)
    return (part for index, step in enumerate(steps) for part in ((pause, step) if index else (step,)))


def _openai_headers(digest: str) -> dict[str, str]:
    return {"x-request-id": f"req_{digest[:32]}", "openai-version": "2020-10-01", "openai-processing-ms": "1"}

"""Faults of meaning: right JSON that says something wrong."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from llm_backend.errors import Json
from llm_backend.upstream.echo.directives import MOST_WORDS, Fault
from llm_backend.upstream.echo.events import Event

Events = Iterator[Event]


def _with(event: Event, **changes: Json) -> Event:
    return replace(event, payload=event.payload | changes)


def _choices(change: Callable[[Json], Json], events: Events, _fault: Fault) -> Events:
    """Each choice changed."""
    return (_with(event, choices=[change(choice) for choice in event.payload.get("choices", [])]) for event in events)


def _no_usage(events: Events, _fault: Fault) -> Events:
    """Neither in a whole answer nor as the last chunk."""
    for event in events:
        if event.payload.get("usage") is None or event.payload.get("choices"):
            yield replace(event, payload={key: value for key, value in event.payload.items() if key != "usage"})


def _told_usage(tell: Callable[[Json], Json], events: Events, _fault: Fault) -> Events:
    """Usage, where there is some, as `tell` makes of it."""
    for event in events:
        usage = event.payload.get("usage")
        yield event if usage is None else _with(event, usage=tell(usage))


def _all_counts(value: Json, usage: Json) -> Json:
    return usage | dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), value)


def _smaller(usage: Json) -> Json:
    return usage | {"completion_tokens": 1, "total_tokens": usage["prompt_tokens"] + 1}


def _fractional(usage: Json) -> Json:
    return usage | {"completion_tokens": usage["completion_tokens"] + 0.5, "total_tokens": usage["total_tokens"] + 0.5}


def _usage_everywhere(events: Events, _fault: Fault) -> Events:
    """A running count on every chunk, as some upstreams send it, whether asked for or not."""
    running = 0
    for event in events:
        running += event.tokens
        if event.payload.get("usage") is None:
            usage = {"prompt_tokens": 1, "completion_tokens": running, "total_tokens": 1 + running}
            yield _with(event, usage=usage)
        else:
            yield event


def _wrong_shape(events: Events, fault: Fault) -> Events:
    """`kind`: no-choices, null-choices, string-index, string-delta, list, string, number."""
    kind = fault.text("kind", "no-choices")
    bare: Mapping[str, Json] = {"list": [], "string": "echo", "number": 1}
    for event in events:
        if not event.tokens:
            yield event
        elif kind in bare:
            yield replace(event, payload=bare[kind])
        else:
            yield _misshapen(event, kind)


def _misshapen(event: Event, kind: str) -> Event:
    choices = event.payload["choices"]
    if kind == "null-choices":
        return _with(event, choices=None)
    if kind == "string-index":
        return _with(event, choices=[choice | {"index": str(choice["index"])} for choice in choices])
    if kind == "string-delta":
        return _with(event, choices=[choice | {"delta": "echo", "message": "echo"} for choice in choices])
    return replace(event, payload={key: value for key, value in event.payload.items() if key != "choices"})


def _runaway(events: Events, fault: Fault) -> Events:
    """After the first word, it again, `words` times (default and most: a hundred thousand), whatever the limit."""
    extra = min(fault.number("words", MOST_WORDS), MOST_WORDS)
    ran = False
    for event in events:
        # Embeddings complete nothing, so nothing of them can run on.
        completes = "completion_tokens" in (event.payload.get("usage") or {})
        yield _counted_up(event, extra) if completes else event
        if event.tokens and not ran and not _is_whole(event):
            ran = True
            for _ in range(extra):
                yield event


def _counted_up(event: Event, extra: int) -> Event:
    usage = event.payload["usage"]
    longer = {name: usage[name] + extra for name in ("completion_tokens", "total_tokens")}
    told = _with(event, usage=usage | longer)
    if not _is_whole(event):
        return told
    choices = [_longer(choice, extra) for choice in event.payload["choices"]]
    return replace(_with(told, choices=choices), tokens=event.tokens + extra)


def _is_whole(event: Event) -> bool:
    return bool(event.payload.get("usage") and event.payload.get("choices"))


def _longer(choice: Json, extra: int) -> Json:
    if "text" in choice:
        return choice | {"text": choice["text"] + " echo" * extra}
    message = choice["message"]
    return choice | {"message": message | {"content": (message.get("content") or "") + " echo" * extra}}


def _calls(change: Callable[[Json], Json], choice: Json) -> Json:
    part = "delta" if "delta" in choice else "message"
    if "tool_calls" not in choice.get(part, {}):
        return choice
    calls = [change(call) for call in choice[part]["tool_calls"]]
    return choice | {part: choice[part] | {"tool_calls": calls}}


def _without_index(call: Json) -> Json:
    return {key: value for key, value in call.items() if key != "index"}


def _index_from_one(call: Json) -> Json:
    return call | {"index": call["index"] + 1} if "index" in call else call


def _null_id(call: Json) -> Json:
    return call | {"id": None}


def _null_content(choice: Json) -> Json:
    delta = choice.get("delta")
    return choice if delta is None or delta.get("content") else choice | {"delta": delta | {"content": None}}


def _text_in_finish(events: Events, _fault: Fault) -> Events:
    """The last word comes in the chunk that carries the finish reason (streams of one choice)."""
    held: Event | None = None
    for event in events:
        choices = event.payload["choices"]
        if held and choices and choices[0]["finish_reason"]:
            last = held.payload["choices"][0] | {"finish_reason": choices[0]["finish_reason"]}
            yield _with(held, choices=[last])
            held = None
            continue
        if held:
            yield held
        held = event
    if held:
        yield held


def _prompt_filter(events: Events, _fault: Fault) -> Events:
    """Azure's first chunk: no choices, and what its filter says of the prompt."""
    first = next(events)
    results = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]
    if "chunk" in first.payload["object"]:
        yield Event(first.payload | {"id": "", "choices": [], "prompt_filter_results": results})
    yield first
    yield from events


def _no_finish(choice: Json) -> Json:
    return choice | {"finish_reason": None}


FAULTS: Final[Mapping[str, Callable[[Events, Fault], Events]]] = {
    "no-usage": _no_usage,
    "usage-null": partial(_told_usage, lambda _usage: None),
    "usage-zero": partial(_told_usage, partial(_all_counts, 0)),
    "usage-negative": partial(_told_usage, partial(_all_counts, -5)),
    "usage-huge": partial(_told_usage, partial(_all_counts, 10**12)),
    "usage-float": partial(_told_usage, _fractional),
    "usage-string": partial(_told_usage, partial(_all_counts, "7")),
    "usage-small": partial(_told_usage, _smaller),
    "usage-everywhere": _usage_everywhere,
    "wrong-shape": _wrong_shape,
    "runaway": _runaway,
    "tool-no-index": partial(_choices, partial(_calls, _without_index)),
    "tool-one-based": partial(_choices, partial(_calls, _index_from_one)),
    "tool-null-ids": partial(_choices, partial(_calls, _null_id)),
    "null-content": partial(_choices, _null_content),
    "text-in-finish": _text_in_finish,
    "empty-choices": _prompt_filter,
    "no-finish": partial(_choices, _no_finish),
}

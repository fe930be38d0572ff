"""Faults of meaning: right JSON that says something wrong."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from llm_backend.errors import Json
from llm_backend.upstream.echo.directives import MOST_WORDS, Fault
from llm_backend.upstream.echo.events import Event

Events = Iterator[Event]

_MADE: Final = ("completion_tokens", "output_tokens")
"""What an operation's usage calls the tokens that were made: it has one of these, or neither."""
_COUNTS: Final = (*_MADE, "prompt_tokens", "input_tokens", "total_tokens", "seconds")


def _with(event: Event, **changes: Json) -> Event:
    return replace(event, payload=event.payload | changes)


def _choices(change: Callable[[Json], Json], events: Events, _fault: Fault) -> Events:
    """Each choice changed."""
    return (_with(event, choices=[change(choice) for choice in event.payload.get("choices", [])]) for event in events)


def _no_usage(events: Events, _fault: Fault) -> Events:
    """Neither in a whole answer nor as the last chunk."""
    for event in events:
        if event.usage is None or event.payload.get("choices") != []:
            yield _in_carrier(event, lambda carrier: {key: carrier[key] for key in carrier if key != "usage"})


def _in_carrier(event: Event, change: Callable[[Json], Json]) -> Event:
    """The event with that of it changed which reports usage: the response that it carries, or itself."""
    carried = event.payload.get("response")
    if isinstance(carried, dict):
        return _with(event, response=change(carried))
    return replace(event, payload=change(event.payload))


def _told_usage(tell: Callable[[Json], Json], events: Events, _fault: Fault) -> Events:
    """Usage, where there is some, as `tell` makes of it."""
    for event in events:
        yield event if event.usage is None else _telling(event, tell)


def _telling(event: Event, tell: Callable[[Json], Json]) -> Event:
    return _in_carrier(event, lambda carrier: carrier | {"usage": tell(carrier["usage"])})


def _all_counts(value: Json, usage: Json) -> Json:
    return usage | dict.fromkeys((name for name in _COUNTS if name in usage), value)


def _smaller(usage: Json) -> Json:
    made = _made(usage)
    return usage if made is None else usage | {made: 1, "total_tokens": usage["total_tokens"] - usage[made] + 1}


def _fractional(usage: Json) -> Json:
    return usage | {name: usage[name] + 0.5 for name in (*_MADE, "total_tokens", "seconds") if name in usage}


def _made(usage: Json) -> str | None:
    return next((name for name in _MADE if name in usage), None)


def _usage_everywhere(events: Events, _fault: Fault) -> Events:
    """A running count on every chunk, as some upstreams send it, whether asked for or not."""
    running = 0
    for event in events:
        running += event.tokens
        if event.usage is None:
            usage = {"prompt_tokens": 1, "completion_tokens": running, "total_tokens": 1 + running}
            yield _with(event, usage=usage)
        else:
            yield event


def _wrong_shape(events: Events, fault: Fault) -> Events:
    """`kind`: no-choices, null-choices, string-index, string-delta, list, string, number."""
    kind = fault.text("kind", "no-choices")
    bare: Mapping[str, Json] = {"list": [], "string": "echo", "number": 1}
    for event in events:
        if not event.is_counted:
            yield event
        elif kind in bare:
            yield replace(event, payload=bare[kind])
        else:
            yield _misshapen(event, kind)


def _misshapen(event: Event, kind: str) -> Event:
    choices = event.payload.get("choices")
    if choices is None:
        return event
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
        made = _made(event.usage or {})
        # Only what is said in words runs on in a whole answer.
        runs_on = made is not None and (ran or "choices" in event.payload)
        yield _counted_up(event, str(made), extra) if runs_on else event
        if event.is_counted and not ran and event.usage is None:
            ran = True
            for _ in range(extra):
                yield event


def _counted_up(event: Event, made: str, extra: int) -> Event:
    longer = {name: event.usage[name] + extra for name in (made, "total_tokens")}
    told = _telling(event, lambda usage: usage | longer)
    if not event.payload.get("choices"):
        return told
    choices = [_longer(choice, extra) for choice in event.payload["choices"]]
    return replace(_with(told, choices=choices), tokens=event.tokens + extra)


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
        choices = event.payload.get("choices")
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
    if "chunk" in first.payload.get("object", ""):
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

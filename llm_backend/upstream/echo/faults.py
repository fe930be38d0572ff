"""The faults by name, and where in an answer each one sets in."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from llm_backend.upstream.echo import event_faults, instead, script_faults, step_faults
from llm_backend.upstream.echo.directives import Fault
from llm_backend.upstream.echo.events import Event
from llm_backend.upstream.echo.script import Refusal, Script, Send, Step

_EVENTS: Mapping[str, Callable[[Iterator[Event], Fault], Iterator[Event]]] = event_faults.FAULTS
"""Change the JSON of an answer: each event of a stream, or the one of a whole answer."""
_STEPS: Mapping[str, Callable[[Iterator[Send], Fault], Iterator[Step]]] = step_faults.FAULTS
"""Change the bytes, or when they come."""
_SCRIPTS: Mapping[str, Callable[[Script, Fault], Script]] = script_faults.FAULTS
"""Change the headers, or the encoding of all bytes."""
_COUNTS: Final = frozenset({"after", "at", "bytes", "members", "words", "times", "every"})
_TEXTS: Final = frozenset({"retry-after", "retry-after-ms", "should-retry", "code", "type", "body", "to", "kind"})
_SECONDS: Final = "seconds"
_PRINTABLE: Final = re.compile(r"[!-~]{1,256}")
"""An option may become a header."""
WHOLE = "whole"
"""A stream was asked for; the answer comes whole."""


def names() -> list[str]:
    """Every name but those of statuses, which are any number from 400 to 599."""
    return sorted([*instead.FAULTS, *_EVENTS, *_STEPS, *_SCRIPTS, WHOLE])


def is_fault(name: str) -> bool:
    return instead.is_status(name) or name in names()


def check(fault: Fault) -> None:
    """Raises Refusal where there is no such fault, or an option is unknown or wrong."""
    if not is_fault(fault.name):
        message = f"There is no fault {fault.name[:40]!r}; docs/echo.md lists them."
        raise Refusal(message, param="messages", code="invalid_value")
    for option, value in fault.options.items():
        if option not in _COUNTS | _TEXTS | {_SECONDS} or not _PRINTABLE.fullmatch(value):
            raise Refusal("A fault's option is unknown or wrong.", param="messages", code="invalid_value")
        if option in _COUNTS:
            fault.number(option, 0)
    fault.seconds(_SECONDS, 0)


def replaced(fault: Fault | None) -> Script | None:
    """The script that stands in place of any answer; None where the fault sets in later."""
    if fault is None:
        return None
    if instead.is_status(fault.name):
        return instead.status(fault)
    make = instead.FAULTS.get(fault.name)
    return make(fault) if make else None


def in_events(events: Iterator[Event], fault: Fault | None) -> Iterator[Event]:
    change = _EVENTS.get(fault.name) if fault else None
    return change(events, fault) if fault and change else events


def in_steps(sends: Iterable[Send], fault: Fault | None) -> Iterator[Step]:
    change = _STEPS.get(fault.name) if fault else None
    return change(iter(sends), fault) if fault and change else iter(sends)


def in_script(script: Script, fault: Fault | None) -> Script:
    change = _SCRIPTS.get(fault.name) if fault else None
    return change(script, fault) if fault and change else script


def halved(script: Script, fault: Fault | None) -> Script:
    """A whole answer, its bytes in two halves where a fault of steps sets in between them."""
    if fault is None or fault.name not in _STEPS:
        return script
    whole = b"".join(step.data for step in script.steps if isinstance(step, Send))
    tokens = sum(step.tokens for step in script.steps if isinstance(step, Send))
    half = len(whole) // 2
    sends = [Send(whole[:half], tokens, is_counted=True), Send(whole[half:])]
    headers = {name: value for name, value in script.headers.items() if name != "content-length"}
    once = Fault(fault.name, {name: value for name, value in fault.options.items() if name != "after"})
    return replace(script, headers=headers, steps=in_steps(sends, once))

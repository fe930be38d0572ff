"""How an upstream's answer may end, and what is charged for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from llm_backend.errors import Json
from tests.faults.charged import Operation
from tests.faulty import Cut, FaultyUpstream, Hang, Reset, Torn, error, head

PROMPT, RECEIVED = 3, 3
"""What is counted here, of what every operation is asked and of the ten bytes of its answer."""
CAP = 10
RAN_AWAY = CAP + CAP // 10 + 64 + 1
"""The first token beyond what is tolerated."""

Charge = tuple[str, str, str | None, int, int, bool]
"""Status, basis, error code, tokens of prompt and completion, and whether more was used than held back."""
Tells = Callable[[FaultyUpstream, Operation], None]

BAD, LOST = "upstream_invalid_response", "upstream_unreachable"


@dataclass(frozen=True)
class Ending:
    """What the upstream does, and what is charged for it."""

    name: str
    tells: Tells
    whole: Charge
    streamed: Charge
    attempts: int = 1
    missing: bool = False
    """Whether the answer was whole without its usage."""

    def charge(self, operation: Operation) -> Charge:
        if operation.streamed:
            return self.streamed
        status, basis, code, prompt, completion, is_over = self.whole
        if operation.is_asked and status == "failed":
            return status, "void", code, 0, 0, False
        return status, basis, code, prompt, completion if operation.completes else 0, is_over

    def __str__(self) -> str:
        return self.name


def ends_with(prompt: Json = None, completion: Json = None) -> Tells:
    """A good answer, with this usage."""

    def tell(upstream: FaultyUpstream, operation: Operation) -> None:
        usage = None if prompt is None else operation.counted(prompt, completion)
        if not operation.streamed:
            upstream.answers(operation.whole(usage))
            return
        last = [] if usage is None else [operation.word(None) | {"choices": [], "usage": usage}]
        upstream.streams(operation.word(), operation.word(), operation.word(None, "stop"), *last)

    return tell


def breaks(*items: Any) -> Tells:
    """Half an answer, and then `items`."""

    def tell(upstream: FaultyUpstream, operation: Operation) -> None:
        if operation.streamed:
            upstream.streams(operation.word(), operation.word(), *items)
        else:
            whole = orjson.dumps(operation.whole(operation.counted(7, 5)))
            headers = head(200, content_type="application/json", content_length=str(len(whole)))
            upstream.raw(headers, whole[:-9], *[item for item in items if not isinstance(item, bytes)])

    return tell


def says(whole: Json, event: Json) -> Tells:
    """With the status 200: this in place of an answer, or within a stream."""

    def tell(upstream: FaultyUpstream, operation: Operation) -> None:
        if operation.streamed:
            upstream.streams(operation.word(), operation.word(), event)
        else:
            upstream.raw(head(200, content_type="application/json", content_length=str(len(whole))), whole)

    return tell


def runs_on(upstream: FaultyUpstream, operation: Operation) -> None:
    if operation.streamed:
        upstream.streams(*[operation.word("x")] * 2 * RAN_AWAY, Hang)
    else:
        upstream.answers(operation.whole(operation.counted(50_000, 50_000)))


def refuses(status: int) -> Tells:
    refusal = error("It cannot be done.", "invalid_request_error", "told")
    return lambda upstream, _: upstream.answers(refusal, status=status)


def failed(code: str, prompt: int = PROMPT) -> Charge:
    return "failed", "estimated" if prompt else "void", code, prompt, 0, False


def within(code: str) -> Charge:
    return "incomplete", "estimated", code, PROMPT, RECEIVED, False


REPORTED: Charge = ("completed", "reported", None, 7, 5, False)
NOTHING_REPORTED: Charge = ("completed", "reported", None, 0, 0, False)
COUNTED: Charge = ("completed", "estimated", None, PROMPT, RECEIVED, False)
TOO_MUCH: Charge = ("completed", "reported", None, 50_000, 50_000, True)
CUT_OFF: Charge = ("incomplete", "estimated", "budget_exhausted", PROMPT, RAN_AWAY, True)
BROKEN = orjson.dumps(error("Boom"))

ENDINGS = [
    Ending("finished", ends_with(7, 5), REPORTED, REPORTED),
    Ending("21 no usage", ends_with(), COUNTED, COUNTED, missing=True),
    Ending("22 usage below zero", ends_with(-30, -20), COUNTED, COUNTED, missing=True),
    Ending("22 usage beyond all measure", ends_with(10**13, 10**13), COUNTED, COUNTED, missing=True),
    Ending("22 usage of nothing", ends_with(0, 0), NOTHING_REPORTED, NOTHING_REPORTED),
    Ending("23 runs on", runs_on, TOO_MUCH, CUT_OFF),
    Ending("5 cut", breaks(Cut), failed(BAD), within(BAD)),
    Ending("5 torn", breaks(Torn), failed(BAD), within(BAD)),
    Ending("6 reset", breaks(Reset), failed(LOST), within(LOST)),
    Ending("7 cut within an event", breaks(b"data: {", Cut), failed(BAD), within(BAD)),
    Ending("8 no JSON", says(b'{"id": ', b"data: {\n\n"), failed(BAD), within(BAD)),
    Ending("18 an error", says(BROKEN, error("Boom")), failed("upstream_error"), within("upstream_error")),
    Ending("13 refused", refuses(400), failed("told", 0), failed("told", 0)),
    Ending("11 fails", refuses(503), failed("upstream_error", 0), failed("upstream_error", 0), attempts=3),
]

"""What an answer consists of, before anyone plays it: a status, headers, and steps in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson

from llm_backend.errors import Json


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes of the body. `tokens` of the completion become known by it, and `usage` is reported in it."""

    data: bytes
    tokens: int = 0
    usage: Json = None
    is_counted: bool = False
    """Whether the `after` of a fault counts it."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing for some seconds; None is for ever."""

    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """The connection is gone. `taken`: whether any byte of the request may have been read by then."""

    taken: bool = True


Step = Send | Wait | Break


@dataclass(frozen=True, slots=True)
class Script:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    """Lower case."""
    steps: Iterable[Step]
    before: tuple[Step, ...] = ()
    """Waits and breaks that come before the status line."""
    prompt_tokens: int = 0


class Refusal(Exception):
    """The request is refused with `status`, as OpenAI words it."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param
        self.code = code

    def script(self) -> Script:
        error = envelope(str(self), "invalid_request_error", param=self.param, code=self.code)
        return json_script(error, status=self.status)


def envelope(message: str, kind: str, *, param: str | None = None, code: str | None = None) -> Json:
    """OpenAI's `ErrorResponse`."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def json_script(value: Json, *, status: int = 200, tokens: int = 0) -> Script:
    """`value` as a whole answer."""
    data = orjson.dumps(value)
    usage = value.get("usage") if isinstance(value, dict) else None
    headers = {"content-type": "application/json", "content-length": str(len(data))}
    return Script(status, headers, [Send(data, tokens, usage)])

"""JSON lines with a request id: one object a line, whoever wrote it, and every line redacted at the very end.

Fields are scalars; what a client or an upstream wrote has no place in them. A library's own lines appear from WARNING
on (uvicorn's and Alembic's from INFO), whatever the level: at DEBUG many of them print bodies and bound parameters.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import quote

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

TEXT_LIMIT = 500
"""Characters of a field's text; the rest is cut, so that a log cannot be used as an amplifier."""
PROMPT_LIMIT = 65_536
"""The same of a prompt or answer, where those are asked for."""
SECRET_MINIMUM = 8
"""Shorter secrets are not searched for: redacting them would redact half of the log."""
REDACTED = "[redacted]"
WITHHELD = "[withheld]"
UNREADABLE = "[a record that could not be formatted]"
PRIVATE = frozenset(
    {
        "answer",
        "api_key",
        "authorization",
        "body",
        "content",
        "headers",
        "input",
        "messages",
        "password",
        "prompt",
        "token",
    }
)
"""Names of fields that are never written as they are; `configure(prompts=True)` lets those of `PROMPTS` through."""
PROMPTS = frozenset({"answer", "content", "input", "messages", "prompt"})
WHOLE = PROMPTS | {"raw_usage"}
"""Fields that lose their worth when they are cut: a usage record that only the log has can be entered by hand."""

# Bounded repetitions: a line of a hostile length must not cost more than its length.
_TOKENS = re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{6,512}")
_BEARER = re.compile(r"(?i)\bbearer\s{1,8}[^\s\"'\\,;]{1,4096}")
_DSN = re.compile(r"://([^\s/:@\"]{0,128}):[^\s\"]{1,512}@")

_OURS = "llm_backend."
"""How the modules begin whose exceptions are worded here, and so without what they were given."""

_SCALARS = frozenset({str, int, float, bool, type(None)})

# ASCII only: a line must fit any stream, whatever its encoding.
_ENCODER = json.JSONEncoder(check_circular=False, separators=(",", ":"))


class Redaction:
    """Takes secrets out of a finished line: known values, and what looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: list[str] = []
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Take these out, too."""
        spellings = {spelt for secret in secrets if len(secret) >= SECRET_MINIMUM for spelt in _spellings(secret)}
        self._known = sorted({*self._known, *spellings}, key=len, reverse=True)

    def forget(self) -> None:
        """Know no secrets any more."""
        self._known = []

    def __call__(self, line: str) -> str:
        # Looking for words is far cheaper than for patterns, and most lines have none of them.
        for secret in self._known:
            line = line.replace(secret, REDACTED)
        if "sk-" in line:
            line = _TOKENS.sub(REDACTED, line)
        if "bearer" in line.lower():
            line = _BEARER.sub(f"Bearer {REDACTED}", line)
        return _DSN.sub(rf"://\1:{REDACTED}@", line) if "://" in line else line


def _spellings(secret: str) -> set[str]:
    """`secret` as it may stand in a line: plain, escaped by JSON, encoded in a URL."""
    return {secret, json.dumps(secret)[1:-1], quote(secret, safe=""), quote(secret)}


_REDACTION = Redaction()


def withhold(secrets: Iterable[str]) -> None:
    """Keep these out of the log as well, from now on."""
    _REDACTION.learn(secrets)


def configure(level: str, *, secrets: Iterable[str] = (), prompts: bool = False, stream: TextIO | None = None) -> None:
    """Send all logging, structlog's and the standard library's, to `stream` (None: stderr, as answers own stdout).

    `level` is a name such as INFO. May be called again; the last call holds.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    _REDACTION.forget()
    _REDACTION.learn(secrets)
    target = stream or sys.stderr
    structlog.configure(
        processors=[
            _add_origin,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _line(PRIVATE - PROMPTS if prompts else PRIVATE),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda name="llm_backend", *_: _Lines(name, target),
        cache_logger_on_first_use=False,
    )
    _adopt_standard_logging(number)


class _Lines:
    """Where finished lines go: one write a line, so that those of several tasks never mix."""

    __slots__ = ("_target", "name")

    def __init__(self, name: str, target: TextIO) -> None:
        self.name = name
        self._target = target

    def msg(self, line: str) -> None:
        self._target.write(f"{line}\n")
        self._target.flush()

    debug = info = warning = error = critical = exception = msg


def _add_origin(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    event["level"] = {"exception": "error", "warn": "warning"}.get(method, method)
    event["logger"] = logger.name
    return event


def _line(private: frozenset[str]) -> structlog.typing.Processor:
    """A processor that writes scalars of bounded size only, no field named in `private`, and no secret."""

    def line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
        error = _raised(event.pop("exc_info", None))
        for name in private.intersection(event):
            event[name] = WITHHELD
        if error is None and _SCALARS.issuperset(map(type, event.values())):
            written = _encoded(event)
            if len(written) - sum(map(len, event)) <= TEXT_LIMIT:
                return _REDACTION(written)  # so short that no field of it is too long: so are nearly all
        for name, value in event.items():
            event[name] = _scalar(value, PROMPT_LIMIT if name in WHOLE else TEXT_LIMIT)
        if error:
            event["exception"] = _told(error)
        return _REDACTION(_encoded(event))

    return line


def _encoded(event: EventDict) -> str:
    try:
        line = orjson.dumps(event)
    except TypeError:
        # Half of a surrogate pair, or a number of more than 64 bits.
        return _ENCODER.encode(event)
    return line.decode() if line.isascii() else _ENCODER.encode(event)


def _scalar(value: Any, limit: int) -> Any:
    """`value` where it is plain; else its type's name, for a representation may show anything."""
    if isinstance(value, str):
        return value if len(value) <= limit else f"{value[:limit]}…"
    if value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        return [_scalar(part, limit) for part in list(value)[:20]]
    return f"<{type(value).__name__}>"


def _raised(info: Any) -> BaseException | None:
    """The exception that `exc_info` means, in any of the forms that logging takes."""
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple):
        return info[1] if isinstance(info[1], BaseException) else None
    return sys.exception() if info else None


def _told(error: BaseException) -> list[dict[str, Any]]:
    """The exception and its causes, outermost first: type, text where it is ours, the places it passed.

    What others raise quotes what they were given: parsers the text, drivers the parameters, `dict` its key.
    """
    told: list[dict[str, Any]] = []
    current: BaseException | None = error
    while current is not None and len(told) < 5:  # noqa: PLR2004 (a chain may be a circle)
        text = {"text": str(current).partition("\n")[0][:TEXT_LIMIT]} if _is_ours(type(current)) else {}
        told.append({"type": _name(type(current)), **text, "frames": _frames(current.__traceback__)})
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return told


def _is_ours(kind: type[BaseException]) -> bool:
    return any(part.__module__.startswith(_OURS) for part in kind.__mro__)


def _name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _frames(trace: TracebackType | None) -> list[str]:
    """The last places of `trace`, without lines of source."""
    places = [f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}" for frame, line in traceback.walk_tb(trace)]
    return places[-20:]


class _Forwarded(logging.Handler):
    """The standard library's records, written as ours are."""

    def emit(self, record: logging.LogRecord) -> None:
        level = min(max(record.levelno // 10 * 10, logging.DEBUG), logging.CRITICAL)
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 (arguments format themselves; logging's own way out would print them)
            message = UNREADABLE
        structlog.get_logger(record.name).log(level, message, exc_info=record.exc_info)


def _adopt_standard_logging(level: int) -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Forwarded)]:
        root.removeHandler(handler)
    root.addHandler(_Forwarded())
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("llm_backend").setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(level, logging.INFO))
    # Connexion writes refused bodies and problem texts out in full; the edge logs every refusal itself, without them.
    # The guard writes the access line, without the query string.
    for name in ("connexion", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("connexion."):
            logging.getLogger(name).setLevel(logging.NOTSET)

"""What an upstream's refusal becomes: one of our errors, its words kept where they help and redacted always."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil

import orjson

from llm_backend import json_text
from llm_backend.errors import (
    Json,
    UpstreamAuthFailed,
    UpstreamBroken,
    UpstreamFailed,
    UpstreamInvalid,
    UpstreamRejected,
    UpstreamTimedOut,
)
from llm_backend.upstream.retries import LONGEST_WAIT_SECONDS

MESSAGE_BYTES = 1024
"""How much of an upstream's message is passed on."""

LONGEST_RETRY_AFTER_SECONDS = 120
"""What the SDKs still wait for; of an upstream that asks for more they are told not to try again."""

TYPES = frozenset(
    {
        "invalid_request_error",
        "authentication_error",
        "permission_error",
        "not_found_error",
        "insufficient_quota",
        "requests",
        "tokens",
        "server_error",
    }
)
"""OpenAI's error types; another upstream's own become the one that fits the status."""

_SECRETS = re.compile(
    r"""
    \b[a-z][a-z0-9+.-]{0,30}://\S+                # addresses
    | \b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b
    | \bbearer\s+\S+
    | \b(?:sk|pk|rk|org|proj|sess|gsk|xai|hf)[-_][\w*.-]{4,}
    | \b[A-Za-z0-9+/_=-]{40,}                # keys and tokens of any other make
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}")  # so narrow that no key passes for a code
_MODEL = re.compile(r"\bmodel\b", re.IGNORECASE)
_STATUS_END = 600
_NOT_TAKEN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
_LIMITED = frozenset({"requests", "tokens", "insufficient_quota", "rate_limit_error", "rate_limit_exceeded"})


def redacted(text: str, secrets: tuple[str, ...] = ()) -> str:
    """`text` in one line of at most a kilobyte, without addresses, `secrets`, or anything that looks like one."""
    for secret in secrets:
        text = text.replace(secret, "[redacted]")
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 8 * MESSAGE_BYTES]).split())
    return _SECRETS.sub("[redacted]", line).encode()[:MESSAGE_BYTES].decode(errors="ignore")


class Refusals:
    """Reads the error answers of one upstream."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        """`secrets`: this server's credentials there, never passed on whatever they look like."""
        self._secrets = tuple(filter(None, (secret.strip() for secret in secrets)))

    def of(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFailed:
        """Translate an answer that is no success; `headers` in lower case, `body` perhaps cut."""
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
            return UpstreamAuthFailed(upstream_status=status)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return self._limited(headers, _error_in(body))
        if status in _NOT_TAKEN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return _broken(status, headers)
        if status >= HTTPStatus.BAD_REQUEST:
            return self._rejected(status, _error_in(body))
        return UpstreamInvalid(f"The upstream answered with the status {status}.", upstream_status=status)

    def inside(self, answer: Json) -> UpstreamFailed | None:
        """Find the error that an answer of status 200, or a stream's event, holds instead of a result; else None."""
        found = answer.get("error") if isinstance(answer, dict) else None
        return self.told(found) if found else None

    def told(self, error: Json) -> UpstreamFailed:
        """Translate an error that came without a status: an object in whatever dialect, or a text."""
        parts = error if isinstance(error, dict) else {"message": str(error)}
        return self.of(_status_of(parts), {}, orjson.dumps({"error": parts}))

    def _rejected(self, status: int, error: Mapping[str, Json]) -> UpstreamRejected:
        message = self._message(error)
        code = _code(error)
        if (
            status == HTTPStatus.NOT_FOUND
            and (code is None or error.get("param") == "model")
            and _MODEL.search(message)
        ):
            code = "model_not_found"
        fallback = "permission_error" if status == HTTPStatus.FORBIDDEN else "invalid_request_error"
        return UpstreamRejected(
            message or f"The upstream refused the request with the status {status}.",
            upstream_status=status,
            error_type=_type(error, fallback),
            code=code,
            param=self._param(error),
        )

    def _limited(self, headers: Mapping[str, str], error: Mapping[str, Json]) -> UpstreamRejected:
        """Translate a 429. Exhausted credit is the operator's trouble, not the caller's: it keeps no such code."""
        wait = _retry_after(headers)
        is_hopeless = "insufficient_quota" in (_text(error, "type"), _text(error, "code")) or _forbids_retry(headers)
        too_long = wait is not None and wait > LONGEST_RETRY_AFTER_SECONDS
        refusal = UpstreamRejected(
            self._message(error) or "The upstream asks to wait.",
            upstream_status=HTTPStatus.TOO_MANY_REQUESTS,
            error_type="tokens" if _text(error, "type") == "tokens" else "requests",
            code="rate_limit_exceeded",
            param=None,
            retry_after_seconds=None if wait is None else min(wait, LONGEST_RETRY_AFTER_SECONDS),
            should_retry=False if is_hopeless or too_long else None,
        )
        refusal.retriable = not is_hopeless and wait is not None and wait <= LONGEST_WAIT_SECONDS
        return refusal

    def _message(self, error: Mapping[str, Json]) -> str:
        return redacted(_text(error, "message"), self._secrets)

    def _param(self, error: Mapping[str, Json]) -> str | None:
        return redacted(_text(error, "param"), self._secrets)[:200] or None


def _broken(status: int, headers: Mapping[str, str]) -> UpstreamFailed:
    """Translate a server's error. A gateway's timeout may hide work that goes on: it is not tried again."""
    if status in {504, 524}:
        message = f"The upstream answered with the status {status}."
        return UpstreamTimedOut(message, outcome_unknown=True, upstream_status=status, should_retry=False)
    wait = _retry_after(headers)
    forbidden = _forbids_retry(headers) or (wait is not None and wait > LONGEST_RETRY_AFTER_SECONDS)
    return UpstreamBroken(
        f"The upstream answered with the status {status}.",
        retriable=not forbidden and (wait is None or wait <= LONGEST_WAIT_SECONDS),
        upstream_status=status,
        retry_after_seconds=None if wait is None else min(wait, LONGEST_RETRY_AFTER_SECONDS),
        should_retry=False if forbidden else None,
    )


def _error_in(body: bytes) -> Mapping[str, Json]:
    """Find the error that `body` holds, in OpenAI's shape or those of vLLM, Ollama and FastAPI; empty for others."""
    try:
        answer = json_text.loads(body)
    except orjson.JSONDecodeError:
        return {}  # a gateway's page, or a text cut short: its words are not for the caller
    if not isinstance(answer, dict):
        return {}
    found = answer.get("error", answer.get("detail", answer))
    if isinstance(found, list):  # FastAPI's list of what is wrong with a body
        found = found[0] if found and isinstance(found[0], dict) else {}
        found = {"message": found.get("msg")}
    return found if isinstance(found, dict) else {"message": found}


def _status_of(error: Mapping[str, Json]) -> int:
    """Guess the status that an error inside a 200 should have had."""
    code = error.get("code")
    if isinstance(code, int) and HTTPStatus.BAD_REQUEST <= code < _STATUS_END:
        return code
    kind = _text(error, "type")
    if kind in _LIMITED or _text(error, "code") in _LIMITED:
        return HTTPStatus.TOO_MANY_REQUESTS
    return HTTPStatus.BAD_REQUEST if kind == "invalid_request_error" else HTTPStatus.INTERNAL_SERVER_ERROR


def _code(error: Mapping[str, Json]) -> str | None:
    code = _text(error, "code")
    return code if _CODE.fullmatch(code) else None


def _type(error: Mapping[str, Json], fallback: str) -> str:
    kind = _text(error, "type")
    return kind if kind in TYPES else fallback


def _text(error: Mapping[str, Json], name: str) -> str:
    value = error.get(name)
    return value if isinstance(value, str) else ""


def _retry_after(headers: Mapping[str, str]) -> int | None:
    """Whole seconds, rounded up; None where the upstream gave none, or a date, which needs its clock to be ours."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        value = headers.get(name, "")
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
            return ceil(float(value) / unit)
    return None


def _forbids_retry(headers: Mapping[str, str]) -> bool:
    return headers.get("x-should-retry") == "false"

"""What is asked of an upstream, and what becomes of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, Self

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.domain.entries import Balance
from llm_backend.domain.granting import Grant
from llm_backend.domain.idempotency import Once
from llm_backend.domain.identity import Caller
from llm_backend.domain.usage import NO_UNITS, Basis, Price, Units, Usage
from llm_backend.errors import Json, LLMBackendError, UpstreamFailed
from llm_backend.storage.driver import Plan
from llm_backend.storage.usage import TEXT_LIMIT, UsageRecord
from llm_backend.upstream.forms import Form

Status = Literal["completed", "incomplete", "failed"]
"""Whether the whole answer came, a part of it, or nothing."""

RAW_BYTES = 8 * 1024

LARGE_BYTES = 64 * 1024
"""Of JSON: to look through more takes so long that others would notice."""

Keep = Callable[[AsyncSession, str, Json], Awaitable[None]]
"""Writes, in the transaction that settles an attempt, what is kept of it: takes its id and the parsed answer."""


class Gathering(Protocol):
    """Puts an answer together that comes in pieces."""

    def see(self, chunk: Json) -> None:
        """Take the next piece, as the client gets it."""
        ...

    def whole(self, usage: Json) -> Json:
        """All of it, as it would have come in one piece; `usage`: what the upstream says it used."""
        ...


class Keeping(NamedTuple):
    """How an answer is kept."""

    answer_id: str
    """Under which the client finds it: what it bears in place of the upstream's."""
    keep: Keep
    gathering: Callable[[], Gathering]
    """Puts a stream together, anew for each upstream that begins one."""


KeepPlan = Callable[[str, Json], Plan[None]]
"""The same as steps of that transaction."""

Note = Callable[[str, Json], Awaitable[None]]
"""Is told what an upstream, by its name, says of an answer, before the client is: all of it, or an event of it."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a request has to do with objects that upstreams keep."""

    upstream: str | None = None
    """Who keeps those that it names; None: it names none."""
    note: Note | None = None
    """Remembers those that its answer makes."""


NONE_HELD = Holdings()


class Work(NamedTuple):
    """What a caller asks of an upstream: one request, whatever the number of attempts."""

    caller: Caller
    request_id: str
    operation: str
    """The operationId."""
    path: str
    """Below an upstream's base URL."""
    body: Json
    headers: Mapping[str, str]
    """The client's, lower case."""
    streamed: bool
    """Whether the answer is to come as events."""
    overshoots: bool = False
    """Whether it is admitted with whatever is left, which its answer may pass."""
    unknown_is_void: bool = False
    """Whether an attempt whose outcome is unknown is charged nothing."""
    keep: Keep | None = None
    """What is to be kept of a complete answer."""
    plan: KeepPlan | None = None
    """The same as steps, which cost a fraction."""
    answer_id: str | None = None
    """What its answer is called in place of the upstream's id; None: as the upstream has it."""
    gathering: Callable[[], Gathering] | None = None
    """Puts a stream together where it is to be kept, anew for each upstream that begins one."""
    form: Form | None = None
    """What is sent in place of the body, which then holds its text fields; the exchange keeps it while it needs it."""
    accept: str | None = None
    """The media type that is asked for, where it is neither JSON nor events."""
    query: str = ""
    """Encoded, without its `?`."""
    holdings: Holdings = NONE_HELD
    once: Once | None = None
    """What is to be told again to whoever asks again under the same Idempotency-Key."""
    admitted: Callable[[], None] | None = None
    """Told as soon as all that an attempt may use is held back, before it is sent."""
    brought: int = 0
    """Bytes that its body has more than the client sent."""

    @property
    def is_large(self) -> bool:
        """Whether all of the body is too much to be looked through where others wait: a form may lie in a file."""
        length = self.headers.get("content-length", "")
        return self.form is not None or not length.isdecimal() or int(length) + self.brought > LARGE_BYTES

    @property
    def end_user(self) -> str | None:
        """Whom the caller says the request is for: the one who was vouched for, else whom the body names.

        Of a name that goes on no more than a record keeps: it is stored with the reservation too.
        """
        if self.caller.end_user is not None:
            return self.caller.end_user.id
        named = self.body.get("safety_identifier") or self.body.get("user")
        return named[:TEXT_LIMIT] if isinstance(named, str) else None


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended."""

    status: Status
    error: LLMBackendError | None = None
    """What ended it, if it did not end by itself."""
    upstream_status: int | None = None
    usage_missing: bool = False
    """The answer is whole, and does not say what it used, as it ought to."""
    usage_implausible: bool = False
    """The upstream reported far less than was sent and received."""

    @classmethod
    def failed(cls, error: LLMBackendError) -> "Ending":
        """Nothing came of it, because of `error`."""
        return cls("failed", error, error.upstream_status if isinstance(error, UpstreamFailed) else None)

    def flagged(self, *, usage_missing: bool = False, usage_implausible: bool = False) -> "Ending":
        """The same, with what is to be thought of the upstream's report."""
        if not (usage_missing or usage_implausible):
            return self
        return replace(self, usage_missing=usage_missing, usage_implausible=usage_implausible)


class Details(NamedTuple):
    """What is known of an attempt before it is sent: enough to charge it in its owner's absence."""

    request_id: str
    account_id: int
    key_id: str | None
    operation: str
    model: str
    upstream: str
    upstream_model: str
    stream: bool
    end_user: str | None
    started_at: datetime
    price: Price | None
    units: Units = NO_UNITS
    """What is used of them as soon as it is sent."""

    def as_json(self) -> bytes:
        price = self.price.as_json() if self.price else None
        return orjson.dumps(self._asdict() | {"price": price, "units": self.units.used})

    @classmethod
    def from_json(cls, written: bytes) -> Self:
        """What `as_json` wrote, in this version or a later one. Raises KeyError or ValueError where it did not."""
        told = orjson.loads(written)
        known = {name: told[name] for name in cls._fields}
        price = Price.from_json(known["price"]) if known["price"] else None
        started_at, units = datetime.fromisoformat(known["started_at"]), Units(**known["units"])
        return cls(**known | {"started_at": started_at, "price": price, "units": units})

    def record(self, attempt_id: str, usage: Usage, basis: Basis, ending: Ending, ended_at: datetime) -> UsageRecord:
        """The charge for `usage`."""
        return UsageRecord(
            attempt_id=attempt_id,
            kind="charge",
            request_id=self.request_id,
            account_id=self.account_id,
            key_id=self.key_id,
            operation=self.operation,
            model=self.model,
            upstream=self.upstream,
            upstream_model=self.upstream_model,
            stream=self.stream,
            status=ending.status,
            basis=basis,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=usage.cached_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            audio_prompt_tokens=usage.audio_prompt_tokens,
            audio_completion_tokens=usage.audio_completion_tokens,
            image_prompt_tokens=usage.image_prompt_tokens,
            images=usage.images,
            seconds=usage.seconds,
            characters=usage.characters,
            cost_microusd=self.price.of(usage) if self.price else 0,
            raw_usage=_raw(usage),
            usage_missing=ending.usage_missing,
            usage_implausible=ending.usage_implausible,
            error_code=ending.error.code if ending.error else None,
            upstream_status=ending.upstream_status,
            started_at=self.started_at,
            ended_at=ended_at,
            end_user=self.end_user,
        )


def _raw(usage: Usage) -> bytes | None:
    """The upstream's own words, where they are no longer than any honest one's: a journal has to hold them."""
    raw = orjson.dumps(usage.raw) if usage.raw is not None else b""
    return raw if 0 < len(raw) <= RAW_BYTES else None


class Attempt(NamedTuple):
    """One call to one upstream."""

    id: str
    details: Details
    grant: Grant
    """What is held back for it."""
    balance: Balance
    """How the account's budget stood once that was held back."""
    is_void_unkept: bool = False
    """Whether it costs nothing where what is to be kept of it cannot be."""

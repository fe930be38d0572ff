"""Statements on usage records: one row per upstream attempt, written once."""

import re
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_backend.errors import Json
from llm_backend.storage.database import insert_once
from llm_backend.storage.tables import usage_record

KEY = ("attempt_id", "kind")

TEXT_LIMIT = 512
"""No text of a record is longer, in characters; the rest is cut off."""

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""What a client or an upstream may put into a name, and PostgreSQL keeps in no text."""


class UsageRecord(NamedTuple):
    """What one attempt at an upstream used, and how it ended. Tokens and micro-dollars are whole numbers.

    A charge is what was owed when the attempt ended; an adjustment is the truth that came later, less the charge.
    Cached tokens are among the prompt's, reasoning tokens among the completion's.
    """

    attempt_id: str
    """Our UUIDv7, made before anything was sent."""
    kind: Literal["charge", "adjustment"]
    request_id: str
    account_id: int
    key_id: str | None
    """The key's public id; None where there was no key."""
    operation: str
    """The operationId."""
    model: str
    """As the client asked."""
    upstream: str
    upstream_model: str
    stream: bool
    status: Literal["completed", "incomplete", "failed"]
    """Whether the whole answer came, a part of it, or nothing."""
    basis: Literal["reported", "estimated", "crash", "void"]
    """Where the numbers come from: the upstream's report, our count, the last checkpoint, or nothing was used."""
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost_microusd: int
    raw_usage: bytes | None
    """The `usage` object as the upstream sent it, as JSON."""
    usage_missing: bool
    """The answer was whole and its usage was not in it."""
    usage_implausible: bool
    """The upstream reported far less than was sent and received."""
    error_code: str | None
    upstream_status: int | None
    started_at: datetime
    ended_at: datetime
    end_user: str | None = None
    """Whom the caller said the request was for."""
    overrun: bool = False
    """More was used than had been reserved."""
    audio_prompt_tokens: int = 0
    """Among the prompt's, as are the cached and the image tokens; the three have none in common."""
    audio_completion_tokens: int = 0
    image_prompt_tokens: int = 0
    images: int = 0
    """Pictures made."""
    seconds: int = 0
    """Of sound heard; a started one counts."""
    characters: int = 0
    """Of text spoken."""
    account_period_id: int = 0
    """The periods that it is charged to: those of its reservation, set when it is settled."""
    key_period_id: int | None = None
    model_period_id: int | None = None
    user_period_id: int | None = None

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


FIELDS = UsageRecord._fields
TEXTS = tuple(name for name, kind in UsageRecord.__annotations__.items() if str in (kind, *get_args(kind)))
_texts = itemgetter(*map(FIELDS.index, TEXTS))
DAY_OF = ("account_id", "day", "key_id", "model", "end_user")
"""What tells days apart."""


def values(record: UsageRecord) -> dict[str, Any]:
    """`record` by column, as it may be stored."""
    stored: dict[str, Any] = record._asdict()
    # Most are short and plain, all of them together.
    texts = "".join([text for text in _texts(record) if text])
    if len(texts) <= TEXT_LIMIT and texts.isprintable():
        return stored
    for name in TEXTS:
        text = stored[name]
        if text is not None and (len(text) > TEXT_LIMIT or not text.isprintable()):
            stored[name] = _storable(text)
    return stored


def day(stored: dict[str, Any]) -> tuple[Any, ...]:
    """The day (UTC) whose sums a record is added to, by `DAY_OF`; `stored` is the record as it is stored."""
    on = stored["ended_at"].astimezone(UTC).date()
    return stored["account_id"], on, stored["key_id"] or "", stored["model"], stored["end_user"] or ""


async def add(session: AsyncSession, record: UsageRecord) -> bool:
    """Write `record`; False, and nothing is changed, where its attempt already has one of its kind."""
    statement = insert_once(session, usage_record, values(record), KEY)
    return (await session.execute(statement)).first() is not None


async def of_account(session: AsyncSession, account_id: int) -> list[UsageRecord]:
    """The account's records, in the order in which their attempts began."""
    columns = [usage_record.c[name] for name in FIELDS]
    own = select(*columns).where(usage_record.c.account_id == account_id)
    rows = await session.execute(own.order_by(usage_record.c.attempt_id, usage_record.c.kind.desc()))
    return [UsageRecord(**row) for row in rows.mappings()]


def as_json(record: UsageRecord) -> Json:
    """`record` as a JSON object, complete: for a log or a journal."""
    return {name: _plain(value) for name, value in zip(FIELDS, record, strict=True)}


def from_json(written: Json) -> UsageRecord:
    """The record that `as_json` wrote."""
    moments = {name: datetime.fromisoformat(written[name]) for name in ("started_at", "ended_at")}
    raw = written["raw_usage"]
    return UsageRecord(**written | moments | {"raw_usage": None if raw is None else raw.encode()})


def _storable(text: str) -> str:
    """`text` without what no database keeps, and cut: an odd name may not cost the record."""
    return UNSTORABLE.sub("\ufffd", text[:TEXT_LIMIT])


def _plain(value: Any) -> Json:
    if isinstance(value, datetime):
        return value.isoformat()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

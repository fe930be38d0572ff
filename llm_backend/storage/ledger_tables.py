"""The ledger's tables: what may be used, what is reserved, and what was used."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from llm_backend.storage.columns import IDENTITY, Moment, as_one, counted, limited, metadata, summed

budget = Table(
    "budget",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    # What of the account it bounds: '' all of it, 'key:<public id>', 'model:<id>', 'user:<id>' for an end user.
    Column("subject", Text, nullable=False, server_default=text("''")),
    *limited("token_limit"),
    *limited("microusd_limit"),
    Column("renewal", Text, nullable=False, server_default=text("'never'")),
    Column("carries_over", Boolean, nullable=False, server_default=false()),
    # The first days of terms, as dates, and the day after the last; null where the renewal is another.
    Column("terms", JSON),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    CheckConstraint("renewal IN ('never', 'day', 'week', 'month', 'term')", name="renewal"),
    UniqueConstraint("account_id", "subject"),
    sqlite_autoincrement=True,
)

# One row of sums per budget and period: the row that a reservation is made on.
budget_period = Table(
    "budget_period",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("budget_id", ForeignKey("budget.id"), nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    # Apart from the others, which every reservation of the account looks through.
    Column("of_end_user", Boolean, nullable=False, server_default=false()),
    Column("starts_at", Moment, nullable=False),
    # Null where it never ends.
    Column("ends_at", Moment),
    # With what was carried over.
    *limited("token_limit"),
    *limited("microusd_limit"),
    *summed("used_tokens"),
    *summed("reserved_tokens"),
    *summed("used_microusd"),
    *summed("reserved_microusd"),
    # Whether passing the soft limit was told already.
    Column("warned_tokens", Boolean, nullable=False, server_default=false()),
    Column("warned_microusd", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("budget_id", "starts_at"),
    Index(None, "account_id", "of_end_user", "ends_at"),
    sqlite_autoincrement=True,
)
_AMOUNTS = ("token_limit", "microusd_limit", "used_tokens", "reserved_tokens", "used_microusd", "reserved_microusd")
as_one(budget_period, "amounts", f"LEAST({', '.join(_AMOUNTS)}) >= 0", *_AMOUNTS)

# One row per attempt at an upstream, from before it is sent; its end is a usage record.
reservation = Table(
    "reservation",
    metadata,
    Column("attempt_id", Text, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("key_id", Text),
    Column("state", Text, nullable=False),
    # The process that runs it, by a name made at its start; and until when that one is believed to live.
    Column("owner", Text, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("account_period_id", ForeignKey("budget_period.id"), nullable=False),
    Column("key_period_id", ForeignKey("budget_period.id")),
    Column("model_period_id", ForeignKey("budget_period.id")),
    Column("user_period_id", ForeignKey("budget_period.id")),
    *counted("reserved_tokens"),
    *counted("reserved_microusd"),
    # What would be charged if the process died now.
    *counted("observed_prompt_tokens"),
    *counted("observed_completion_tokens"),
    # The rest of the usage record to be, as JSON, with the price: for whoever settles it in the owner's place.
    Column("details", LargeBinary, nullable=False),
    CheckConstraint("state IN ('held', 'dispatched', 'settled', 'voided')", name="state"),
)
_HELD = ("reserved_tokens", "reserved_microusd", "observed_prompt_tokens", "observed_completion_tokens")
as_one(reservation, "amounts", f"LEAST({', '.join(_HELD)}) >= 0", *_HELD)

IS_OPEN = text("reservation.state IN ('held', 'dispatched')")
"""Whether a reservation still holds something back: written as in the index, which finds it for this text alone."""
Index(
    "ix_reservation_open",
    reservation.c.owner,
    sqlite_where=text("state IN ('held', 'dispatched')"),
    postgresql_where=text("state IN ('held', 'dispatched')"),
)

ADJUSTMENT = "kind = 'adjustment'"
"""An adjustment is the truth that came late, less what was charged: it may go either way."""

usage_record = Table(
    "usage_record",
    metadata,
    Column("attempt_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("key_id", Text),
    Column("operation", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("upstream_model", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("basis", Text, nullable=False),
    *counted("prompt_tokens", signed_where=ADJUSTMENT),
    *counted("completion_tokens", signed_where=ADJUSTMENT),
    *counted("cached_tokens", signed_where=ADJUSTMENT),
    *counted("reasoning_tokens", signed_where=ADJUSTMENT),
    *counted("cost_microusd", signed_where=ADJUSTMENT),
    Column("raw_usage", LargeBinary),
    Column("usage_missing", Boolean, nullable=False),
    Column("usage_implausible", Boolean, nullable=False),
    Column("overrun", Boolean, nullable=False),
    Column("error_code", Text),
    Column("upstream_status", Integer),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Column("end_user", Text),
    *counted("audio_prompt_tokens", signed_where=ADJUSTMENT),
    *counted("audio_completion_tokens", signed_where=ADJUSTMENT),
    *counted("image_prompt_tokens", signed_where=ADJUSTMENT),
    Column("account_period_id", ForeignKey("budget_period.id"), nullable=False),
    Column("key_period_id", ForeignKey("budget_period.id")),
    Column("model_period_id", ForeignKey("budget_period.id")),
    Column("user_period_id", ForeignKey("budget_period.id")),
    # What is sold by the piece: pictures made, seconds of sound heard, characters of text spoken.
    *counted("images", signed_where=ADJUSTMENT, is_later=True),
    *counted("seconds", signed_where=ADJUSTMENT, is_later=True),
    *counted("characters", signed_where=ADJUSTMENT, is_later=True),
    CheckConstraint("kind IN ('charge', 'adjustment')", name="kind"),
    # The kinds of tokens are disjoint; what is left of the sum is text.
    CheckConstraint(
        f"{ADJUSTMENT} OR cached_tokens + audio_prompt_tokens + image_prompt_tokens <= prompt_tokens",
        name="prompt_kinds",
    ),
    CheckConstraint(
        f"{ADJUSTMENT} OR reasoning_tokens + audio_completion_tokens <= completion_tokens", name="completion_kinds"
    ),
    CheckConstraint("status IN ('completed', 'incomplete', 'failed')", name="status"),
    CheckConstraint("basis IN ('reported', 'estimated', 'crash', 'void')", name="basis"),
    Index(None, "account_id", "ended_at"),
)

_PROMPT_KINDS = ("cached_tokens", "audio_prompt_tokens", "image_prompt_tokens")
_COMPLETION_KINDS = ("reasoning_tokens", "audio_completion_tokens")
_COUNTED = (*_PROMPT_KINDS, *_COMPLETION_KINDS, "images", "seconds", "characters", "cost_microusd")
as_one(
    usage_record,
    "amounts",
    # What is left of a sum without its kinds is below zero where the sum itself is.
    f"{ADJUSTMENT} OR LEAST({' - '.join(('prompt_tokens', *_PROMPT_KINDS))}, "
    f"{' - '.join(('completion_tokens', *_COMPLETION_KINDS))}, {', '.join(_COUNTED)}) >= 0",
    *("prompt_tokens", "completion_tokens", "prompt_kinds", "completion_kinds", *_COUNTED),
)

DAILY_SUMS = (
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "audio_prompt_tokens",
    "audio_completion_tokens",
    "image_prompt_tokens",
    "images",
    "seconds",
    "characters",
    "cost_microusd",
)
"""What a usage record and a day have alike."""

# Sums of usage records by day (UTC), written in the transaction of each record.
usage_day = Table(
    "usage_day",
    metadata,
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("day", Date, nullable=False),
    # Of these, '' stands for none.
    Column("key_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("end_user", Text, nullable=False),
    *summed("requests"),
    # Signed: a late adjustment may be all that a day has.
    *(Column(name, BigInteger, nullable=False, server_default=text("0")) for name in DAILY_SUMS),
    PrimaryKeyConstraint("account_id", "day", "key_id", "model", "end_user"),
    # For reports on everyone.
    Index(None, "day"),
)

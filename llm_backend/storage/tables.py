"""What is kept, as tables. The migrations build the same; a test compares the two on both databases."""

from sqlalchemy import (
    JSON,
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
    true,
)

from llm_backend.storage.columns import IDENTITY, Moment, limited, metadata
from llm_backend.storage.ledger_tables import budget, budget_period, reservation, usage_day, usage_record
from llm_backend.storage.state_tables import conversation, item, response, response_event

__all__ = [
    "account",
    "account_user",
    "api_key",
    "audit_record",
    "budget",
    "budget_period",
    "conversation",
    "idempotency_key",
    "installation",
    "item",
    "metadata",
    "reservation",
    "response",
    "response_event",
    "upstream_object",
    "usage_day",
    "usage_record",
    "webhook_event",
]

account = Table(
    "account",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("name", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=true()),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Column("course", Text),
    Column("time_zone", Text, nullable=False, server_default=text("'UTC'")),
    # Whether an output cap that the client named may be lowered to what is left.
    Column("fits", Boolean, nullable=False, server_default=false()),
    # Whether what its models answer may be kept for it.
    Column("stores", Boolean, nullable=False, server_default=true()),
    # For how many days; null: until it is deleted.
    *limited("retention_days"),
    *limited("requests_per_minute"),
    *limited("tokens_per_minute"),
    *limited("concurrent_requests"),
    # A number that was someone's is never given to someone else.
    sqlite_autoincrement=True,
)
# Of active accounts only: a name is free again when its account is closed.
Index("uq_account_name", account.c.name, unique=True, sqlite_where=text("active"), postgresql_where=text("active"))
FORGETS = text("retention_days IS NOT NULL")
Index("ix_account_retention_days", account.c.retention_days, sqlite_where=FORGETS, postgresql_where=FORGETS)

api_key = Table(
    "api_key",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("last4", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("pepper_version", Integer, nullable=False),
    Column("scopes", JSON, nullable=False),
    # A list of model ids that the key may use; null for all.
    Column("models", JSON),
    *limited("requests_per_minute"),
    *limited("tokens_per_minute"),
    *limited("concurrent_requests"),
    # Whether its requests may say for whom they are, and what each of those whom they name may use.
    Column("trusted_frontend", Boolean, nullable=False, server_default=false()),
    *limited("end_user_token_limit"),
    *limited("end_user_microusd_limit"),
    Column("end_user_renewal", Text, nullable=False, server_default=text("'never'")),
    *limited("end_user_requests_per_minute"),
    *limited("end_user_tokens_per_minute"),
    *limited("end_user_concurrent_requests"),
    CheckConstraint("end_user_renewal IN ('never', 'day', 'week', 'month')", name="end_user_renewal"),
    # The key itself, encrypted, where a deployment keeps keys recoverable.
    Column("sealed", LargeBinary),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_on", Date),
    Column("revoked_at", Moment),
    Index(None, "account_id", "id"),
    sqlite_autoincrement=True,
)
ADOPTED = "pepper_version > 1"
"""Of the keys those that came from another system: few, and looked through when something like them is sent."""
Index(
    "ix_api_key_adopted",
    api_key.c.pepper_version,
    sqlite_where=text(ADOPTED),
    postgresql_where=text(ADOPTED),
)

# `user` is a reserved word.
account_user = Table(
    "account_user",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("code", Text, nullable=False, unique=True),
    Column("name", Text),
    Column("account_id", ForeignKey("account.id"), index=True),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    sqlite_autoincrement=True,
)

audit_record = Table(
    "audit_record",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("target_kind", Text, nullable=False),
    Column("target_id", Text, nullable=False),
    Column("fields", JSON, nullable=False),
    Column("request_id", Text),
    Index(None, "target_kind", "target_id"),
    Index(None, "target_kind", "id"),
    sqlite_autoincrement=True,
)

# What a request with an Idempotency-Key came to, to be told again.
idempotency_key = Table(
    "idempotency_key",
    metadata,
    # 'account:<id>', or 'admin'.
    Column("holder", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    # Of method, path and body: another request under the same key is refused.
    Column("fingerprint", LargeBinary, nullable=False),
    Column("request_id", Text, nullable=False),
    # 'running' while `lease_until` is ahead, 'done' with a result, 'broken' where it ended without one and was charged.
    Column("state", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("lease_until", Moment, nullable=False),
    # Of one that is done, null where what it made was deleted: then nothing is kept of its answer either.
    Column("status", Integer),
    # Media type, whose events they are where those are kept, and body of the answer, encrypted; null where it was too
    # large to keep.
    Column("result", LargeBinary),
    # The public id of the response or conversation in which is kept what the answer says.
    Column("made_id", Text),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    CheckConstraint("state IN ('running', 'done', 'broken')", name="state"),
    PrimaryKeyConstraint("holder", "key_hash"),
)
MADE = text("made_id IS NOT NULL")
Index("ix_idempotency_key_made_id", idempotency_key.c.made_id, sqlite_where=MADE, postgresql_where=MADE)

# What is to be told to a webhook: written in the transaction that made it true, sent until it is taken.
webhook_event = Table(
    "webhook_event",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("payload", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    # Null once it is delivered or given up.
    Column("next_try_at", Moment, index=True),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("delivered_at", Moment),
    Column("last_error", Text),
)

# What was made through an account at an upstream, whose key is everybody's: only the account may name it.
upstream_object = Table(
    "upstream_object",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    # Its name in the configuration.
    Column("upstream", Text, nullable=False),
    # The path of its collection with dots: 'files', 'vector_stores.file_batches'.
    Column("kind", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    # The object at the same upstream that it goes with.
    Column("parent_id", Text),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("object_id", "upstream"),
    Index(None, "parent_id"),
    Index(None, "account_id", "kind", "upstream"),
    sqlite_autoincrement=True,
)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("secret_digest", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

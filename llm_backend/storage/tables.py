"""What is kept, as tables. The migrations build the same; a test compares the two on both databases."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
    true,
)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)

IDENTITY = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up a column of the type INTEGER only."""


class Moment(TypeDecorator[datetime]):
    """A point in time: aware and UTC on both sides, although SQLite keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def counted(name: str, *, signed_where: str = "") -> tuple[Column[int], CheckConstraint]:
    """A column of whole units that are never below zero, but where `signed_where` is true."""
    rule = f"{signed_where} OR {name} >= 0" if signed_where else f"{name} >= 0"
    return Column(name, BigInteger, nullable=False), CheckConstraint(rule, name=name)


account = Table(
    "account",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("name", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=true()),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment),
    Column("course", Text),
    Column("token_limit", BigInteger),
    Column("used_tokens", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("token_limit >= 0", name="token_limit"),
    CheckConstraint("used_tokens >= 0", name="used_tokens"),
    # A number that was someone's is never given to someone else.
    sqlite_autoincrement=True,
)
# Of active accounts only: a name is free again when its account is closed.
Index("uq_account_name", account.c.name, unique=True, sqlite_where=text("active"), postgresql_where=text("active"))

api_key = Table(
    "api_key",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    Column("public_id", Text, nullable=False, unique=True),
    Column("account_id", ForeignKey("account.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("last4", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("pepper_version", Integer, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("last_used_on", Date),
    Column("revoked_at", Moment),
    sqlite_autoincrement=True,
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
    sqlite_autoincrement=True,
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
    CheckConstraint("kind IN ('charge', 'adjustment')", name="kind"),
    CheckConstraint("status IN ('completed', 'incomplete', 'failed')", name="status"),
    CheckConstraint("basis IN ('reported', 'estimated', 'crash', 'void')", name="basis"),
    Index(None, "account_id", "ended_at"),
)

installation = Table(
    "installation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("secret_digest", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

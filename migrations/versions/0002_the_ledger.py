"""Budgets, reservations, what was used, and what is promised to be told once."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _budget()
    _budget_period()
    _reservation()
    _usage_record()
    _usage_day()
    _idempotency_key()
    _webhook_event()


def downgrade() -> None:
    for table in (
        "webhook_event",
        "idempotency_key",
        "usage_day",
        "usage_record",
        "reservation",
        "budget_period",
        "budget",
    ):
        op.drop_table(table)


def _budget() -> None:
    op.create_table(
        "budget",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("subject", sa.Text, server_default=sa.text("''"), nullable=False),
        sa.Column("token_limit", sa.BigInteger),
        sa.Column("microusd_limit", sa.BigInteger),
        sa.Column("renewal", sa.Text, server_default=sa.text("'never'"), nullable=False),
        sa.Column("carries_over", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("terms", sa.JSON),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.CheckConstraint("renewal IN ('never', 'day', 'week', 'month', 'term')", name=op.f("ck_budget_renewal")),
        sa.CheckConstraint("microusd_limit >= 0", name=op.f("ck_budget_microusd_limit")),
        sa.CheckConstraint("token_limit >= 0", name=op.f("ck_budget_token_limit")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_budget_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget")),
        sa.UniqueConstraint("account_id", "subject", name=op.f("uq_budget_account_id_subject")),
        sqlite_autoincrement=True,
    )


def _budget_period() -> None:
    op.create_table(
        "budget_period",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("budget_id", IDENTITY, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("starts_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT),
        sa.Column("token_limit", sa.BigInteger),
        sa.Column("microusd_limit", sa.BigInteger),
        sa.Column("used_tokens", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_tokens", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("used_microusd", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("reserved_microusd", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("warned_tokens", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("warned_microusd", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.CheckConstraint("microusd_limit >= 0", name=op.f("ck_budget_period_microusd_limit")),
        sa.CheckConstraint("reserved_microusd >= 0", name=op.f("ck_budget_period_reserved_microusd")),
        sa.CheckConstraint("reserved_tokens >= 0", name=op.f("ck_budget_period_reserved_tokens")),
        sa.CheckConstraint("token_limit >= 0", name=op.f("ck_budget_period_token_limit")),
        sa.CheckConstraint("used_microusd >= 0", name=op.f("ck_budget_period_used_microusd")),
        sa.CheckConstraint("used_tokens >= 0", name=op.f("ck_budget_period_used_tokens")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_budget_period_account_id")),
        sa.ForeignKeyConstraint(["budget_id"], ["budget.id"], name=op.f("fk_budget_period_budget_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_budget_period")),
        sa.UniqueConstraint("budget_id", "starts_at", name=op.f("uq_budget_period_budget_id_starts_at")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_budget_period_account_id"), "budget_period", ["account_id"], unique=False)


def _reservation() -> None:
    op.create_table(
        "reservation",
        sa.Column("attempt_id", sa.Text, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("lease_until", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("account_period_id", IDENTITY, nullable=False),
        sa.Column("key_period_id", IDENTITY),
        sa.Column("model_period_id", IDENTITY),
        sa.Column("reserved_tokens", sa.BigInteger, nullable=False),
        sa.Column("reserved_microusd", sa.BigInteger, nullable=False),
        sa.Column("observed_prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("observed_completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("details", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("state IN ('held', 'dispatched', 'settled', 'voided')", name=op.f("ck_reservation_state")),
        sa.CheckConstraint("observed_completion_tokens >= 0", name=op.f("ck_reservation_observed_completion_tokens")),
        sa.CheckConstraint("observed_prompt_tokens >= 0", name=op.f("ck_reservation_observed_prompt_tokens")),
        sa.CheckConstraint("reserved_microusd >= 0", name=op.f("ck_reservation_reserved_microusd")),
        sa.CheckConstraint("reserved_tokens >= 0", name=op.f("ck_reservation_reserved_tokens")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_reservation_account_id")),
        sa.ForeignKeyConstraint(
            ["account_period_id"], ["budget_period.id"], name=op.f("fk_reservation_account_period_id")
        ),
        sa.ForeignKeyConstraint(["key_period_id"], ["budget_period.id"], name=op.f("fk_reservation_key_period_id")),
        sa.ForeignKeyConstraint(["model_period_id"], ["budget_period.id"], name=op.f("fk_reservation_model_period_id")),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_reservation")),
    )
    op.create_index(
        "ix_reservation_open",
        "reservation",
        ["owner"],
        unique=False,
        sqlite_where=sa.text("state IN ('held', 'dispatched')"),
        postgresql_where=sa.text("state IN ('held', 'dispatched')"),
    )


def _usage_record() -> None:
    op.create_table(
        "usage_record",
        sa.Column("attempt_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("key_id", sa.Text),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("upstream", sa.Text, nullable=False),
        sa.Column("upstream_model", sa.Text, nullable=False),
        sa.Column("stream", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("basis", sa.Text, nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_microusd", sa.BigInteger, nullable=False),
        sa.Column("raw_usage", sa.LargeBinary),
        sa.Column("usage_missing", sa.Boolean, nullable=False),
        sa.Column("usage_implausible", sa.Boolean, nullable=False),
        sa.Column("overrun", sa.Boolean, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("upstream_status", sa.Integer),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
        sa.Column("end_user", sa.Text),
        sa.Column("audio_prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("audio_completion_tokens", sa.BigInteger, nullable=False),
        sa.Column("image_prompt_tokens", sa.BigInteger, nullable=False),
        sa.Column("account_period_id", IDENTITY, nullable=False),
        sa.Column("key_period_id", IDENTITY),
        sa.Column("model_period_id", IDENTITY),
        sa.CheckConstraint("basis IN ('reported', 'estimated', 'crash', 'void')", name=op.f("ck_usage_record_basis")),
        sa.CheckConstraint(
            "kind = 'adjustment' OR audio_completion_tokens >= 0", name=op.f("ck_usage_record_audio_completion_tokens")
        ),
        sa.CheckConstraint(
            "kind = 'adjustment' OR audio_prompt_tokens >= 0", name=op.f("ck_usage_record_audio_prompt_tokens")
        ),
        sa.CheckConstraint(
            "kind = 'adjustment' OR cached_tokens + audio_prompt_tokens + image_prompt_tokens <= prompt_tokens",
            name=op.f("ck_usage_record_prompt_kinds"),
        ),
        sa.CheckConstraint("kind = 'adjustment' OR cached_tokens >= 0", name=op.f("ck_usage_record_cached_tokens")),
        sa.CheckConstraint(
            "kind = 'adjustment' OR completion_tokens >= 0", name=op.f("ck_usage_record_completion_tokens")
        ),
        sa.CheckConstraint("kind = 'adjustment' OR cost_microusd >= 0", name=op.f("ck_usage_record_cost_microusd")),
        sa.CheckConstraint(
            "kind = 'adjustment' OR image_prompt_tokens >= 0", name=op.f("ck_usage_record_image_prompt_tokens")
        ),
        sa.CheckConstraint("kind = 'adjustment' OR prompt_tokens >= 0", name=op.f("ck_usage_record_prompt_tokens")),
        sa.CheckConstraint(
            "kind = 'adjustment' OR reasoning_tokens + audio_completion_tokens <= completion_tokens",
            name=op.f("ck_usage_record_completion_kinds"),
        ),
        sa.CheckConstraint(
            "kind = 'adjustment' OR reasoning_tokens >= 0", name=op.f("ck_usage_record_reasoning_tokens")
        ),
        sa.CheckConstraint("kind IN ('charge', 'adjustment')", name=op.f("ck_usage_record_kind")),
        sa.CheckConstraint("status IN ('completed', 'incomplete', 'failed')", name=op.f("ck_usage_record_status")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_usage_record_account_id")),
        sa.ForeignKeyConstraint(
            ["account_period_id"], ["budget_period.id"], name=op.f("fk_usage_record_account_period_id")
        ),
        sa.ForeignKeyConstraint(["key_period_id"], ["budget_period.id"], name=op.f("fk_usage_record_key_period_id")),
        sa.ForeignKeyConstraint(
            ["model_period_id"], ["budget_period.id"], name=op.f("fk_usage_record_model_period_id")
        ),
        sa.PrimaryKeyConstraint("attempt_id", "kind", name=op.f("pk_usage_record")),
    )
    op.create_index(
        op.f("ix_usage_record_account_id_ended_at"), "usage_record", ["account_id", "ended_at"], unique=False
    )


def _usage_day() -> None:
    op.create_table(
        "usage_day",
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("end_user", sa.Text, nullable=False),
        sa.Column("requests", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("audio_prompt_tokens", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("audio_completion_tokens", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("image_prompt_tokens", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("cost_microusd", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("requests >= 0", name=op.f("ck_usage_day_requests")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_usage_day_account_id")),
        sa.PrimaryKeyConstraint("account_id", "day", "key_id", "model", "end_user", name=op.f("pk_usage_day")),
    )


def _idempotency_key() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("key_hash", sa.LargeBinary, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("lease_until", MOMENT, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("result", sa.LargeBinary),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.CheckConstraint("state IN ('running', 'done', 'broken')", name=op.f("ck_idempotency_key_state")),
        sa.PrimaryKeyConstraint("holder", "key_hash", name=op.f("pk_idempotency_key")),
    )
    op.create_index(op.f("ix_idempotency_key_expires_at"), "idempotency_key", ["expires_at"], unique=False)


def _webhook_event() -> None:
    op.create_table(
        "webhook_event",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("next_try_at", MOMENT),
        sa.Column("tries", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("delivered_at", MOMENT),
        sa.Column("last_error", sa.Text),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_webhook_event_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_event")),
    )
    op.create_index(op.f("ix_webhook_event_account_id"), "webhook_event", ["account_id"], unique=False)
    op.create_index(op.f("ix_webhook_event_next_try_at"), "webhook_event", ["next_try_at"], unique=False)

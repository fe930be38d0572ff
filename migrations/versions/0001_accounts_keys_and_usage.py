"""Accounts, their keys, what each attempt at an upstream used, and the secret this database belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
COUNTED = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost_microusd")


def upgrade() -> None:
    _accounts()
    _keys()
    _usage()
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("secret_digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )


def downgrade() -> None:
    for table in ("installation", "usage_record", "api_key", "account"):
        op.drop_table(table)


def _accounts() -> None:
    op.create_table(
        "account",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_account_name",
        "account",
        ["name"],
        unique=True,
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )


def _keys() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("public_id", sa.Text, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("last4", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("pepper_version", sa.Integer, nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("last_used_on", sa.Date),
        sa.Column("revoked_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_api_key_public_id")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_api_key_account_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_api_key_account_id"), "api_key", ["account_id"])


def _usage() -> None:
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
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in COUNTED),
        sa.Column("raw_usage", sa.LargeBinary),
        sa.Column("usage_missing", sa.Boolean, nullable=False),
        sa.Column("usage_implausible", sa.Boolean, nullable=False),
        sa.Column("overrun", sa.Boolean, nullable=False),
        sa.Column("error_code", sa.Text),
        sa.Column("upstream_status", sa.Integer),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=False),
        sa.Column("end_user", sa.Text),
        *_usage_rules(),
        sa.PrimaryKeyConstraint("attempt_id", "kind", name=op.f("pk_usage_record")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_usage_record_account_id")),
    )
    op.create_index(op.f("ix_usage_record_account_id_ended_at"), "usage_record", ["account_id", "ended_at"])


def _usage_rules() -> list[sa.CheckConstraint]:
    rules = {name: f"kind = 'adjustment' OR {name} >= 0" for name in COUNTED} | {
        "kind": "kind IN ('charge', 'adjustment')",
        "status": "status IN ('completed', 'incomplete', 'failed')",
        "basis": "basis IN ('reported', 'estimated', 'crash', 'void')",
    }
    return [sa.CheckConstraint(rule, name=op.f(f"ck_usage_record_{name}")) for name, rule in rules.items()]

"""Accounts with their keys and users, what they keep, and the secret that the database belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _account()
    _api_key()
    _account_user()
    _audit_record()
    _conversation()
    _item()
    _installation()


def downgrade() -> None:
    for table in ("installation", "item", "conversation", "audit_record", "account_user", "api_key", "account"):
        op.drop_table(table)


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, server_default=sa.true(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.Column("course", sa.Text),
        sa.Column("time_zone", sa.Text, server_default=sa.text("'UTC'"), nullable=False),
        sa.Column("fits", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger),
        sa.Column("tokens_per_minute", sa.BigInteger),
        sa.Column("concurrent_requests", sa.BigInteger),
        sa.CheckConstraint("concurrent_requests >= 0", name=op.f("ck_account_concurrent_requests")),
        sa.CheckConstraint("requests_per_minute >= 0", name=op.f("ck_account_requests_per_minute")),
        sa.CheckConstraint("tokens_per_minute >= 0", name=op.f("ck_account_tokens_per_minute")),
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


def _api_key() -> None:
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
        sa.Column("models", sa.JSON),
        sa.Column("requests_per_minute", sa.BigInteger),
        sa.Column("tokens_per_minute", sa.BigInteger),
        sa.Column("concurrent_requests", sa.BigInteger),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("last_used_on", sa.Date),
        sa.Column("revoked_at", MOMENT),
        sa.CheckConstraint("concurrent_requests >= 0", name=op.f("ck_api_key_concurrent_requests")),
        sa.CheckConstraint("requests_per_minute >= 0", name=op.f("ck_api_key_requests_per_minute")),
        sa.CheckConstraint("tokens_per_minute >= 0", name=op.f("ck_api_key_tokens_per_minute")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_api_key_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_api_key_public_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_api_key_account_id"), "api_key", ["account_id"], unique=False)


def _account_user() -> None:
    op.create_table(
        "account_user",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("account_id", IDENTITY),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_account_user_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_user")),
        sa.UniqueConstraint("code", name=op.f("uq_account_user_code")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_account_user_account_id"), "account_user", ["account_id"], unique=False)


def _audit_record() -> None:
    op.create_table(
        "audit_record",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("operation", sa.Text, nullable=False),
        sa.Column("target_kind", sa.Text, nullable=False),
        sa.Column("target_id", sa.Text, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("request_id", sa.Text),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_record")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_audit_record_target_kind_target_id"), "audit_record", ["target_kind", "target_id"], unique=False
    )


def _conversation() -> None:
    op.create_table(
        "conversation",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("public_id", sa.Text, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("settings", sa.LargeBinary, nullable=False),
        sa.Column("next_sequence", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_conversation_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversation")),
        sa.UniqueConstraint("public_id", name=op.f("uq_conversation_public_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_conversation_account_id_kind"), "conversation", ["account_id", "kind"], unique=False)


def _item() -> None:
    op.create_table(
        "item",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("public_id", sa.Text, nullable=False),
        sa.Column("conversation_id", IDENTITY, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("role", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("details", sa.LargeBinary),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("attempt_id", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.CheckConstraint("status IN ('completed', 'incomplete')", name=op.f("ck_item_status")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_item_account_id")),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name=op.f("fk_item_conversation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item")),
        sa.UniqueConstraint("conversation_id", "sequence", name=op.f("uq_item_conversation_id_sequence")),
        sa.UniqueConstraint("public_id", name=op.f("uq_item_public_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_item_account_id"), "item", ["account_id"], unique=False)


def _installation() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("secret_digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )

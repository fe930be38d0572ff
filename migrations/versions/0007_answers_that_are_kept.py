"""Answers of models that are kept, with the events that told of them, and how long an account has them kept."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
STATES = "status IN ('queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled')"


def upgrade() -> None:
    op.add_column("account", sa.Column("stores", sa.Boolean, server_default=sa.true(), nullable=False))
    rule = sa.CheckConstraint("retention_days >= 0", name=op.f("ck_account_retention_days"))
    op.add_column("account", sa.Column("retention_days", sa.BigInteger, rule))
    op.add_column("conversation", sa.Column("parent_id", sa.Text))
    op.add_column("conversation", sa.Column("parent_sequence", sa.BigInteger))
    op.add_column("item", sa.Column("upstream_id", sa.Text))
    _index_of_those_with("retention_days", "account")
    _index_of_those_with("parent_id", "conversation")
    op.create_index(op.f("ix_conversation_account_id_created_at"), "conversation", ["account_id", "created_at"])
    other = sa.text("kind <> 'message'")
    op.create_index(
        "ix_item_no_message", "item", ["conversation_id"], unique=False, sqlite_where=other, postgresql_where=other
    )
    known = sa.text("upstream_id IS NOT NULL")
    op.create_index(
        "ix_item_account_id_upstream_id",
        "item",
        ["account_id", "upstream_id"],
        unique=False,
        sqlite_where=known,
        postgresql_where=known,
    )
    _responses()
    _events()


def downgrade() -> None:
    op.drop_table("response_event")
    op.drop_table("response")
    op.drop_index("ix_conversation_account_id_created_at", "conversation")
    op.drop_index("ix_item_account_id_upstream_id", "item")
    op.drop_index("ix_item_no_message", "item")
    op.drop_index("ix_conversation_parent_id", "conversation")
    op.drop_index("ix_account_retention_days", "account")
    op.drop_column("item", "upstream_id")
    op.drop_column("conversation", "parent_sequence")
    op.drop_column("conversation", "parent_id")
    op.drop_column("account", "retention_days")
    op.drop_column("account", "stores")


def _responses() -> None:
    op.create_table(
        "response",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("public_id", sa.Text, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("is_stored", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("conversation_id", IDENTITY),
        sa.Column("first_sequence", sa.BigInteger),
        sa.Column("output_sequence", sa.BigInteger),
        sa.Column("end_sequence", sa.BigInteger),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("attempt_id", sa.Text),
        sa.Column("request", sa.LargeBinary),
        sa.Column("key_id", sa.Text),
        sa.Column("owner", sa.Text),
        sa.Column("lease_until", MOMENT),
        sa.Column("is_cancelled", sa.Boolean, server_default=sa.false(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
        sa.Column("events_until", MOMENT),
        sa.CheckConstraint("kind IN ('response', 'chat.completion')", name=op.f("ck_response_kind")),
        sa.CheckConstraint(STATES, name=op.f("ck_response_status")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_response_account_id")),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversation.id"], name=op.f("fk_response_conversation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_response")),
        sa.UniqueConstraint("public_id", name=op.f("uq_response_public_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_response_account_id_kind_id"), "response", ["account_id", "kind", "id"], unique=False)
    op.create_index(op.f("ix_response_account_id_created_at"), "response", ["account_id", "created_at"], unique=False)
    op.create_index(op.f("ix_response_conversation_id"), "response", ["conversation_id"], unique=False)
    for moment in ("lease_until", "events_until"):
        _index_of_those_with(moment, "response")


def _events() -> None:
    op.create_table(
        "response_event",
        sa.Column("response_id", IDENTITY, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("frames", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_response_event_account_id")),
        sa.ForeignKeyConstraint(["response_id"], ["response.id"], name=op.f("fk_response_event_response_id")),
        sa.PrimaryKeyConstraint("response_id", "first", name=op.f("pk_response_event")),
    )
    op.create_index(op.f("ix_response_event_account_id"), "response_event", ["account_id"], unique=False)


def _index_of_those_with(column: str, table: str) -> None:
    there = sa.text(f"{column} IS NOT NULL")
    name = f"ix_{table}_{column}"
    op.create_index(name, table, [column], unique=False, sqlite_where=there, postgresql_where=there)

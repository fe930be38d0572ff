"""Indexes for what is looked for in tables that grow: days of everyone, keys and changes by page, some of many."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ADOPTED = sa.text("pepper_version > 1")


def upgrade() -> None:
    op.create_index(op.f("ix_usage_day_day"), "usage_day", ["day"], unique=False)
    op.create_index(op.f("ix_audit_record_target_kind_id"), "audit_record", ["target_kind", "id"], unique=False)
    op.drop_index(op.f("ix_api_key_account_id"), "api_key")
    op.create_index(op.f("ix_api_key_account_id_id"), "api_key", ["account_id", "id"], unique=False)
    op.drop_index(op.f("ix_upstream_object_account_id_kind"), "upstream_object")
    columns = ["account_id", "kind", "upstream"]
    op.create_index(op.f("ix_upstream_object_account_id_kind_upstream"), "upstream_object", columns, unique=False)
    op.drop_index(op.f("ix_budget_period_account_id_of_end_user"), "budget_period")
    columns = ["account_id", "of_end_user", "ends_at"]
    op.create_index(op.f("ix_budget_period_account_id_of_end_user_ends_at"), "budget_period", columns, unique=False)
    op.create_index(
        "ix_api_key_adopted",
        "api_key",
        ["pepper_version"],
        unique=False,
        sqlite_where=ADOPTED,
        postgresql_where=ADOPTED,
    )


def downgrade() -> None:
    op.drop_index("ix_api_key_adopted", "api_key")
    op.drop_index(op.f("ix_budget_period_account_id_of_end_user_ends_at"), "budget_period")
    columns = ["account_id", "of_end_user"]
    op.create_index(op.f("ix_budget_period_account_id_of_end_user"), "budget_period", columns, unique=False)
    op.drop_index(op.f("ix_upstream_object_account_id_kind_upstream"), "upstream_object")
    columns = ["account_id", "kind"]
    op.create_index(op.f("ix_upstream_object_account_id_kind"), "upstream_object", columns, unique=False)
    op.drop_index(op.f("ix_api_key_account_id_id"), "api_key")
    op.create_index(op.f("ix_api_key_account_id"), "api_key", ["account_id"], unique=False)
    op.drop_index(op.f("ix_audit_record_target_kind_id"), "audit_record")
    op.drop_index(op.f("ix_usage_day_day"), "usage_day")

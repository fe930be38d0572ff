"""Keys that may say for whom they ask, and budgets of those."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

AMOUNTS = (
    "end_user_token_limit",
    "end_user_microusd_limit",
    "end_user_requests_per_minute",
    "end_user_tokens_per_minute",
    "end_user_concurrent_requests",
)


def upgrade() -> None:
    _of_keys()
    _of_periods()
    number = "BIGINT" if op.get_bind().dialect.name == "postgresql" else "INTEGER"
    for table in ("reservation", "usage_record"):
        # As Alembic would write it, had SQLite a statement for a constraint alone.
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN user_period_id {number} "
            f"CONSTRAINT fk_{table}_user_period_id REFERENCES budget_period (id)"
        )


def downgrade() -> None:
    for table in ("reservation", "usage_record"):
        op.drop_column(table, "user_period_id")
    op.drop_index(op.f("ix_budget_period_account_id_of_end_user"), "budget_period")
    op.create_index(op.f("ix_budget_period_account_id"), "budget_period", ["account_id"], unique=False)
    op.drop_column("budget_period", "of_end_user")
    for name in ("end_user_renewal", *AMOUNTS, "trusted_frontend"):
        op.drop_column("api_key", name)


def _of_keys() -> None:
    flag = sa.Column("trusted_frontend", sa.Boolean, server_default=sa.false(), nullable=False)
    op.add_column("api_key", flag)
    for name in AMOUNTS:
        rule = sa.CheckConstraint(f"{name} >= 0", name=op.f(f"ck_api_key_{name}"))
        op.add_column("api_key", sa.Column(name, sa.BigInteger, rule))
    known = sa.CheckConstraint(
        "end_user_renewal IN ('never', 'day', 'week', 'month')", name=op.f("ck_api_key_end_user_renewal")
    )
    renewal = sa.Column("end_user_renewal", sa.Text, known, server_default=sa.text("'never'"), nullable=False)
    op.add_column("api_key", renewal)


def _of_periods() -> None:
    flag = sa.Column("of_end_user", sa.Boolean, server_default=sa.false(), nullable=False)
    op.add_column("budget_period", flag)
    op.drop_index(op.f("ix_budget_period_account_id"), "budget_period")
    columns = ["account_id", "of_end_user"]
    op.create_index(op.f("ix_budget_period_account_id_of_end_user"), "budget_period", columns, unique=False)

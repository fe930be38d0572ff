"""Users, what an account may use and has used, and a row for each administrative change."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)

USED_SO_FAR = """
UPDATE account SET used_tokens = (
    SELECT COALESCE(SUM(prompt_tokens + completion_tokens), 0) FROM usage_record WHERE account_id = account.id
)
"""


def upgrade() -> None:
    op.add_column("account", sa.Column("course", sa.Text))
    # As text, since both databases add a column with its check, and Alembic would build SQLite's table anew for it.
    op.execute(f"ALTER TABLE account ADD COLUMN token_limit BIGINT {_check('token_limit')}")
    op.execute(f"ALTER TABLE account ADD COLUMN used_tokens BIGINT DEFAULT 0 NOT NULL {_check('used_tokens')}")
    op.execute(USED_SO_FAR)
    _users()
    _audit()


def downgrade() -> None:
    op.drop_table("audit_record")
    op.drop_table("account_user")
    for column in ("used_tokens", "token_limit", "course"):
        op.drop_column("account", column)


def _check(column: str) -> str:
    return f"CONSTRAINT ck_account_{column} CHECK ({column} >= 0)"


def _users() -> None:
    op.create_table(
        "account_user",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("account_id", IDENTITY),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_user")),
        sa.UniqueConstraint("code", name=op.f("uq_account_user_code")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_account_user_account_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_account_user_account_id"), "account_user", ["account_id"])


def _audit() -> None:
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
    op.create_index(op.f("ix_audit_record_target_kind_target_id"), "audit_record", ["target_kind", "target_id"])

"""Whose each object at an upstream is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "upstream_object",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("account_id", IDENTITY, nullable=False),
        sa.Column("upstream", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("parent_id", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_upstream_object_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upstream_object")),
        sa.UniqueConstraint("object_id", "upstream", name=op.f("uq_upstream_object_object_id_upstream")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_upstream_object_parent_id"), "upstream_object", ["parent_id"], unique=False)
    op.create_index(op.f("ix_upstream_object_account_id_kind"), "upstream_object", ["account_id", "kind"], unique=False)


def downgrade() -> None:
    op.drop_table("upstream_object")

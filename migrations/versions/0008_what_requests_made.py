"""What a request with an idempotency key made is known, so that what is told again goes with it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

KNOWN = sa.text("made_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("idempotency_key", sa.Column("made_id", sa.Text))
    op.create_index(
        "ix_idempotency_key_made_id",
        "idempotency_key",
        ["made_id"],
        unique=False,
        sqlite_where=KNOWN,
        postgresql_where=KNOWN,
    )


def downgrade() -> None:
    op.drop_index("ix_idempotency_key_made_id", "idempotency_key")
    op.drop_column("idempotency_key", "made_id")

"""What is sold by the piece, in what was used: pictures, seconds of sound, characters of text."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

UNITS = ("images", "seconds", "characters")


def upgrade() -> None:
    for name in UNITS:
        # As text: Alembic adds a rule to a table of SQLite only by building it anew, all of its rows included.
        op.execute(
            f"ALTER TABLE usage_record ADD COLUMN {name} BIGINT DEFAULT 0 NOT NULL "
            f"CONSTRAINT ck_usage_record_{name} CHECK (kind = 'adjustment' OR {name} >= 0)"
        )
        op.add_column("usage_day", sa.Column(name, sa.BigInteger, server_default=sa.text("0"), nullable=False))


def downgrade() -> None:
    for name in UNITS:
        op.drop_column("usage_day", name)
        op.drop_column("usage_record", name)

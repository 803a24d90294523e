"""The ledger knows which messages about a night went to a channel."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table of messages."""
    op.create_table(
        "message",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("night", sa.Text, nullable=False, index=True),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("remark", sa.Text),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
    )


def downgrade() -> None:
    """Forget what was said."""
    op.drop_table("message")

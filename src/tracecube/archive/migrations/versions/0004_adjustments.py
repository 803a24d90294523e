"""Persons may adjust the parameters of single jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table of adjustments."""
    op.create_table(
        "adjustment",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("instrument", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("night", sa.Text),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("made", sa.Text, nullable=False),
    )
    op.create_index("adjustment_job", "adjustment", ["instrument", "task", "name", "night"])


def downgrade() -> None:
    """Forget all adjustments."""
    op.drop_index("adjustment_job", "adjustment")
    op.drop_table("adjustment")

"""Inputs may be one plane of a raw file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the number of the plane to the inputs of jobs."""
    op.add_column("job_input", sa.Column("plane", sa.Integer))


def downgrade() -> None:
    """Forget which plane an input was."""
    with op.batch_alter_table("job_input") as table:
        table.drop_column("plane")

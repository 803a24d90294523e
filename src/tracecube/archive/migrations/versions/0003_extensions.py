"""Inputs may be one extension of a raw file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the name of the extension to the inputs of jobs."""
    op.add_column("job_input", sa.Column("extension", sa.Text))


def downgrade() -> None:
    """Forget which extension an input was."""
    with op.batch_alter_table("job_input") as table:
        table.drop_column("extension")

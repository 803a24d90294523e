"""What left the machine: uploads to the server of a survey, and mail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SHA = 64


def upgrade() -> None:
    """Make the tables of uploads and notices."""
    op.create_table(
        "upload",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("content", sa.String(SHA), nullable=False),
        sa.Column("product", sa.String(SHA), nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("night", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("remote", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("remark", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
        sa.UniqueConstraint("server", "kind", "content", name="upload_once"),
    )
    op.create_table(
        "notice",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("night", sa.Text, nullable=False, index=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("recipients", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("remark", sa.Text),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
    )


def downgrade() -> None:
    """Forget what was sent."""
    op.drop_table("notice")
    op.drop_table("upload")

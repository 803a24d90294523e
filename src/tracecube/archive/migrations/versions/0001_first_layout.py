"""First layout."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SHA = 64


def upgrade() -> None:
    """Make all tables."""
    _raw_file()
    _run()
    _job()
    _job_input()
    _product()
    _planned()


def downgrade() -> None:
    """Remove all tables."""
    for table in ("planned", "product", "job_input", "job", "run", "raw_file"):
        op.drop_table(table)


def _raw_file() -> None:
    op.create_table(
        "raw_file",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("path", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(SHA), nullable=False, index=True),
        sa.Column("header", sa.LargeBinary),
        sa.Column("instrument", sa.Text),
        sa.Column("tag", sa.Text),
        sa.Column("setup", sa.JSON, nullable=False),
        sa.Column("mjd", sa.Float),
        sa.Column("exptime", sa.Float),
        sa.Column("object", sa.Text),
        sa.Column("night", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("foreign", sa.Boolean, nullable=False),
        sa.Column("copy_of", sa.Text),
    )
    op.create_index("raw_file_tag", "raw_file", ["instrument", "tag", "night"])


def _run() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("raw_folder", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(SHA), nullable=False),
        sa.Column("targets", sa.JSON, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("software", sa.JSON, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
    )


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.Integer, sa.ForeignKey("run.id"), nullable=False),
        sa.Column("instrument", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("night", sa.Text),
        sa.Column("recipe", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("provenance_key", sa.String(SHA), nullable=False, index=True),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("caveats", sa.JSON, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("log", sa.LargeBinary),
        sa.Column("started", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("cpu_seconds", sa.Float, nullable=False),
        sa.Column("peak_memory", sa.BigInteger, nullable=False),
    )
    op.create_index("job_name", "job", ["instrument", "task", "name"])


def _job_input() -> None:
    op.create_table(
        "job_input",
        sa.Column("job_id", sa.Integer, sa.ForeignKey("job.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("main", sa.Boolean, nullable=False),
        sa.Column("raw", sa.Boolean, nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(SHA), nullable=False, index=True),
        sa.Column("level", sa.Integer, nullable=False),
    )


def _product() -> None:
    op.create_table(
        "product",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("job_id", sa.Integer, sa.ForeignKey("job.id"), nullable=False, index=True),
        sa.Column("output", sa.Text, nullable=False),
        sa.Column("tag", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False, index=True),
        sa.Column("sha256", sa.String(SHA), nullable=False, index=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("data_sha256", sa.String(SHA), nullable=False),
        sa.Column("setup", sa.JSON, nullable=False),
        sa.Column("mjd", sa.Float),
        sa.Column("exptime", sa.Float),
        sa.Column("object", sa.Text),
        sa.Column("night", sa.Text),
        sa.Column("raw", sa.Text),
        sa.Column("detector", sa.Text),
        sa.Column("header", sa.LargeBinary),
        sa.Column("qc", sa.JSON, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
    )
    op.create_index("product_tag", "product", ["current", "tag", "object"])


def _planned() -> None:
    op.create_table(
        "planned",
        sa.Column("run_id", sa.Integer, sa.ForeignKey("run.id"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("instrument", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("night", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("job_id", sa.Integer, sa.ForeignKey("job.id")),
    )

"""The tables of the ledger, and the two column types that they need.

Plain SQL types only, so that the same tables live in SQLite and in PostgreSQL. The migrations in
``migrations/`` make these tables; a test holds the two against each other.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

__all__ = [
    "PackedJSON",
    "adjustment",
    "job",
    "job_input",
    "message",
    "metadata",
    "notice",
    "planned",
    "product",
    "raw_file",
    "run",
    "upload",
]

SHA = 64
"""Hexadecimal digits of a SHA-256."""


class PackedJSON(TypeDecorator[Any]):
    """A header or a log as compressed JSON: 350 cards take some 5 kB instead of 20."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> bytes | None:  # noqa: ARG002
        """Compress on the way in."""
        return None if value is None else zlib.compress(json.dumps(value).encode(), 1)

    def process_result_value(self, value: bytes | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002
        """Decompress on the way out."""
        return None if value is None else json.loads(zlib.decompress(value))


metadata = sa.MetaData()

raw_file = sa.Table(
    "raw_file",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("path", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(SHA), nullable=False, index=True),
    sa.Column("header", PackedJSON),
    sa.Column("instrument", sa.Text),
    sa.Column("tag", sa.Text),
    sa.Column("setup", sa.JSON, nullable=False),
    sa.Column("mjd", sa.Float),
    sa.Column("exptime", sa.Float),
    sa.Column("object", sa.Text),
    sa.Column("night", sa.Text),
    sa.Column("reason", sa.Text),  # why it is unclassified; NULL when it has a tag
    sa.Column("foreign", sa.Boolean, nullable=False),  # no installed instrument knows it
    sa.Column("copy_of", sa.Text),  # path of the file that is used in its place
    sa.Index("raw_file_tag", "instrument", "tag", "night"),
)

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("raw_folder", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(SHA), nullable=False),  # of all that decides what the run does
    sa.Column("targets", sa.JSON, nullable=False),
    sa.Column("settings", sa.JSON, nullable=False),
    sa.Column("software", sa.JSON, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),  # ISO 8601, UTC
    sa.Column("finished", sa.Text),  # NULL: under way or cut short
)

run_condition = sa.Table(
    "run_condition",
    metadata,
    sa.Column("run_id", sa.Integer, sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),  # on the setup of raw files; a run without any was about all of them
)

job = sa.Table(
    "job",
    metadata,
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
    sa.Column("state", sa.Text, nullable=False),  # done | failed
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("caveats", sa.JSON, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("log", PackedJSON),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("cpu_seconds", sa.Float, nullable=False),
    sa.Column("peak_memory", sa.BigInteger, nullable=False),  # bytes, while it ran
    sa.Index("job_name", "instrument", "task", "name"),
)

job_input = sa.Table(
    "job_input",
    metadata,
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
    sa.Column("plane", sa.Integer),  # of a raw file with one image an integration
    sa.Column("extension", sa.Text),  # of a raw file with one image a detector
)

product = sa.Table(
    "product",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("job_id", sa.Integer, sa.ForeignKey("job.id"), nullable=False, index=True),
    sa.Column("output", sa.Text, nullable=False),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False, index=True),  # relative to the output folder
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
    sa.Column("header", PackedJSON),
    sa.Column("qc", sa.JSON, nullable=False),
    sa.Column("current", sa.Boolean, nullable=False),  # False: a later job wrote the same path
    sa.Index("product_tag", "current", "tag", "object"),
)

planned = sa.Table(
    "planned",
    metadata,
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

adjustment = sa.Table(
    "adjustment",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("instrument", sa.Text, nullable=False),
    sa.Column("task", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("night", sa.Text),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("tag", sa.Text, nullable=False),
    sa.Column("reviewer", sa.Text, nullable=False),
    sa.Column("made", sa.Text, nullable=False),  # ISO 8601, UTC
    sa.Index("adjustment_job", "instrument", "task", "name", "night"),
)

upload = sa.Table(
    "upload",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("server", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),  # spectrum | annotation
    sa.Column("content", sa.String(SHA), nullable=False),  # of samples or values, and of the object
    sa.Column("product", sa.String(SHA), nullable=False),  # file it was made from
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("raw", sa.Text, nullable=False),
    sa.Column("night", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),  # file name of a spectrum, origin of an annotation
    sa.Column("state", sa.Text, nullable=False),  # sending | sent | refused | failed
    sa.Column("remote", sa.Text),  # its number on the server
    sa.Column("url", sa.Text),
    sa.Column("remark", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("finished", sa.Text),  # NULL while sending: if nobody does, it may have arrived
    sa.UniqueConstraint("server", "kind", "content", name="upload_once"),
)

message = sa.Table(
    "message",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("night", sa.Text, nullable=False, index=True),
    sa.Column("raw", sa.Text, nullable=False),  # of the exposure it is about; empty: the whole night
    sa.Column("server", sa.Text, nullable=False),  # host: the address itself is a secret
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # sending | sent | failed | unclear
    sa.Column("remark", sa.Text),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("finished", sa.Text),
)

notice = sa.Table(
    "notice",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("night", sa.Text, nullable=False, index=True),
    sa.Column("message", sa.Text, nullable=False),  # Message-ID
    sa.Column("recipients", sa.JSON, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # sending | sent | failed | unclear
    sa.Column("remark", sa.Text),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("finished", sa.Text),
)

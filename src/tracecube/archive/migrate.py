"""Bring a ledger to today's layout."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from tracecube.core.errors import BadData

__all__ = ["LAYOUT", "layout_of", "upgrade"]

LAYOUT = "0007"
"""The newest migration; a test holds it against the folder ``migrations``."""

_FOLDER = Path(__file__).parent / "migrations"


def layout_of(connection: sa.Connection) -> str | None:
    """Return the layout a database has, None for an empty one."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: sa.Connection) -> None:
    """Migrate to `LAYOUT` when the database is older or empty.

    Raises
    ------
    BadData
        The database was written by a newer version of this software.
    """
    found = layout_of(connection)
    if found == LAYOUT:
        return
    if found is not None and found > LAYOUT:
        raise BadData(
            f"{connection.engine.url}: ledger of layout {found}, this version knows {LAYOUT} at most",
            hint="use the version of tracecube that wrote it, or another output folder",
        )
    from alembic import command  # noqa: PLC0415 - 0.3 s that only a new or old ledger needs to pay
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")

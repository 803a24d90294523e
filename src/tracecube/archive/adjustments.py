"""What persons changed of single jobs: parameters set by hand, by whom and when. The newest of a job counts."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from tracecube.archive import tables
from tracecube.archive.ledger import Ledger, now
from tracecube.archive.records import AdjustmentRecord

__all__ = ["adjustments", "save_adjustment", "standing_adjustments"]

_COLUMNS = [column.name for column in tables.adjustment.columns if column.name != "id"]


def save_adjustment(ledger: Ledger, given: AdjustmentRecord) -> AdjustmentRecord:
    """Write an adjustment down, with the time of now unless it has one; return it as it stands."""
    given = replace(given, made=given.made or now())
    values = {name: getattr(given, name) for name in _COLUMNS}
    with ledger.engine.begin() as connection:
        found = connection.execute(
            sa.insert(tables.adjustment).values({**values, "params": dict(given.params)})
        ).inserted_primary_key
    return replace(given, id=int(found[0]) if found else 0)


def adjustments(ledger: Ledger) -> list[AdjustmentRecord]:
    """Return all adjustments that were ever accepted, in order."""
    with ledger.engine.connect() as connection:
        rows = connection.execute(sa.select(tables.adjustment).order_by(tables.adjustment.c.id)).mappings()
        return [AdjustmentRecord(**row) for row in rows]


def standing_adjustments(ledger: Ledger) -> list[AdjustmentRecord]:
    """Return the adjustments that count: of each job the newest."""
    return list({(one.instrument, one.task, one.name, one.night): one for one in adjustments(ledger)}.values())

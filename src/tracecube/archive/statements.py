"""Statements that run once a job, built once a process: building them costs more than running them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tracecube.archive import tables

__all__ = [
    "LEFT_BY_NAMESAKES",
    "RETIRE_LEFT",
    "RETIRE_STALE",
    "SET_PLANNED",
    "STALE_PATHS",
    "planned_row",
]

_PLANNED, _JOB, _PRODUCT = tables.planned.c, tables.job.c, tables.product.c

_of_run: sa.BindParameter[int] = sa.bindparam("of_run")
_positions: sa.BindParameter[list[int]] = sa.bindparam("positions", expanding=True)
_paths: sa.BindParameter[list[str]] = sa.bindparam("paths", expanding=True)

_namesakes = sa.select(_JOB.id).where(
    _JOB.instrument == _PLANNED.instrument,
    _JOB.task == _PLANNED.task,
    _JOB.name == _PLANNED.name,
    _JOB.night.is_not_distinct_from(_PLANNED.night),
    _PLANNED.run_id == _of_run,
    _PLANNED.position.in_(_positions),
)
_left = _PRODUCT.job_id.in_(_namesakes)
_stale = _PRODUCT.current & (_left | _PRODUCT.path.in_(_paths))

LEFT_BY_NAMESAKES = sa.select(_PRODUCT.path).where(_left).distinct()
"""Paths that jobs of the same names as some planned ones ever wrote."""

RETIRE_LEFT = sa.update(tables.product).where(_left).values(current=False)
"""Take the products of those jobs off the list."""

STALE_PATHS = sa.select(_PRODUCT.path).where(_stale)
"""Current products that a job replaces: those of its namesakes, and those of the paths it wrote."""

RETIRE_STALE = sa.update(tables.product).where(_stale).values(current=False)

SET_PLANNED = (
    sa.update(tables.planned)
    .where(_PLANNED.run_id == _of_run, _PLANNED.position == sa.bindparam("of_position"))
    .values(state=sa.bindparam("new_state"), reason=sa.bindparam("new_reason"), job_id=sa.bindparam("new_job"))
)


def planned_row(run_id: int, position: int, state: tuple[str, str | None, int | None]) -> Mapping[str, Any]:
    """Return the values for `SET_PLANNED` from (state, reason, job)."""
    new = dict(zip(("new_state", "new_reason", "new_job"), state, strict=True))
    return {"of_run": run_id, "of_position": position, **new}

"""Intervals of time that users set: how far a calibration may lie from what it serves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tracecube.core.errors import BadData
from tracecube.core.workflow import Association, Match, Task, Workflow
from tracecube.workflow.discover import Found
from tracecube.workflow.settings import Settings, near

__all__ = ["opened"]


def opened(instruments: Mapping[str, Found], settings: Settings) -> tuple[dict[str, Found], Settings]:
    """Open the windows of all workflows: as wide as the settings say under an instrument's name, or as they are.

    Returns
    -------
    dict of str to Found
        Every rung that names a window has its days.
    Settings
        The rest, by task.

    Raises
    ------
    BadData
        An instrument has no such window, or its width is no number of days.

    Examples
    --------
    >>> opened({}, {"flat": {"order": 3}})
    ({}, {'flat': {'order': 3}})
    """
    made = {}
    for name, found in instruments.items():
        days = _days(name, found.instrument.workflow, settings.get(name, {}))
        flow = found.instrument.workflow
        flow = replace(flow, tasks=tuple(_task(task, days) for task in flow.tasks))
        made[name] = replace(found, instrument=replace(found.instrument, workflow=flow))
    return made, {task: values for task, values in settings.items() if task not in instruments}


def _days(name: str, workflow: Workflow, chosen: Mapping[str, Any]) -> dict[str, float]:
    """Return the width of every window."""
    found = {window.name: window.days for window in workflow.windows}
    for window, value in chosen.items():
        if window not in found:
            raise BadData(f"{name} has no window {window!r}", hint=near(window, found) if found else "leave it out")
        try:
            found[window] = float(value)
        except (TypeError, ValueError):
            found[window] = math.nan
        if not 0.0 <= found[window] < math.inf:
            raise BadData(f"{name}.{window}={value}: no number of days", hint=f"-p {name}.{window}=14")
    return found


def _task(task: Task, days: Mapping[str, float]) -> Task:
    return replace(task, associations=tuple(_rule(rule, days) for rule in task.associations))


def _rule(rule: Association, days: Mapping[str, float]) -> Association:
    return replace(rule, ladder=tuple(_rung(rung, days) for rung in rule.ladder))


def _rung(rung: Match, days: Mapping[str, float]) -> Match:
    if not rung.window:
        return rung
    width = days[rung.window]
    return replace(rung, days=(-width, width))

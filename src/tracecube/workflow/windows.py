"""What users choose of a workflow: how far in time a calibration may lie from what it serves, and which way is gone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tracecube.core.errors import BadData
from tracecube.core.workflow import Association, Match, Option, Task, Workflow
from tracecube.workflow.discover import Found
from tracecube.workflow.settings import Settings, near

__all__ = ["opened"]


def opened(instruments: Mapping[str, Found], settings: Settings) -> tuple[dict[str, Found], Settings]:
    """Open the windows of all workflows as wide, and go the ways, that the settings say under an instrument's name.

    Returns
    -------
    dict of str to Found
        Every rung that names a window has its days; rules that do not count are gone.
    Settings
        The rest, by task.

    Raises
    ------
    BadData
        An instrument has no such window or option, the width is no number of days, or the option has no such value.

    Examples
    --------
    >>> opened({}, {"flat": {"order": 3}})
    ({}, {'flat': {'order': 3}})
    """
    made = {}
    for name, found in instruments.items():
        flow = _chosen(name, found.instrument.workflow, settings.get(name, {}))
        made[name] = replace(found, instrument=replace(found.instrument, workflow=flow))
    return made, {task: values for task, values in settings.items() if task not in instruments}


def _chosen(name: str, workflow: Workflow, chosen: Mapping[str, Any]) -> Workflow:
    """Return a workflow as the user wants it."""
    windows = {window.name for window in workflow.windows}
    options = {option.name: option for option in workflow.options}
    for one in chosen:
        if one not in windows and one not in options:
            known = windows | set(options)
            raise BadData(f"{name} has no window or option {one!r}", hint=near(one, known) if known else "leave it out")
    days = _days(name, workflow, {key: value for key, value in chosen.items() if key in windows})
    values = {key: _value(name, option, chosen.get(key, option.values[0])) for key, option in options.items()}
    return replace(workflow, tasks=tuple(_task(task, days, values) for task in workflow.tasks))


def _value(name: str, option: Option, chosen: Any) -> str:
    """Return the value of an option: words of a parameter file may be true or false."""
    text = ("yes" if chosen else "no") if isinstance(chosen, bool) else str(chosen)
    if text not in option.values:
        raise BadData(f"{name}.{option.name}={text}: not among {', '.join(option.values)}", hint=option.text)
    return text


def _days(name: str, workflow: Workflow, chosen: Mapping[str, Any]) -> dict[str, float]:
    """Return the width of every window."""
    found = {window.name: window.days for window in workflow.windows}
    for window, value in chosen.items():
        try:
            found[window] = float(value)
        except (TypeError, ValueError):
            found[window] = math.nan
        if not 0.0 <= found[window] < math.inf:
            raise BadData(f"{name}.{window}={value}: no number of days", hint=f"-p {name}.{window}=14")
    return found


def _task(task: Task, days: Mapping[str, float], values: Mapping[str, str]) -> Task:
    counts = [rule for rule in task.associations if all(values[name] in some for name, some in rule.when.items())]
    return replace(task, associations=tuple(_rule(rule, days) for rule in counts))


def _rule(rule: Association, days: Mapping[str, float]) -> Association:
    return replace(rule, ladder=tuple(_rung(rung, days) for rung in rule.ladder))


def _rung(rung: Match, days: Mapping[str, float]) -> Match:
    if not rung.window:
        return rung
    width = days[rung.window]
    return replace(rung, days=(-width, width))

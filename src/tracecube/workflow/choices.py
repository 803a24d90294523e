"""What users choose of a workflow: how far in time a calibration may lie from what it serves, and which way is gone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tracecube.core.errors import BadData
from tracecube.core.workflow import Association, Match, Option, Task, Workflow
from tracecube.workflow.discover import Found
from tracecube.workflow.settings import Settings, merged, near, spelt

__all__ = ["opened"]


def opened(instruments: Mapping[str, Found], settings: Settings) -> tuple[dict[str, Found], Settings]:
    """Open the windows of all workflows as wide, and go the ways, that the settings say under an instrument's name.

    Returns
    -------
    dict of str to Found
        Every rung that names a window has its days; rules that do not count are gone; groups and rungs name setup
        keys where they named an option.
    Settings
        The rest, by task, over what the options set.

    Raises
    ------
    BadData
        An instrument has no such window or option, the width is no number of days, or the option has no such value.

    Examples
    --------
    >>> opened({}, {"flat": {"order": 3}})
    ({}, {'flat': {'order': 3}})
    """
    made, told = {}, []
    for name, found in instruments.items():
        flow = found.instrument.workflow
        known = {*(one.name for one in flow.windows), *(one.name for one in flow.options)}
        chosen = {spelt(one, known): value for one, value in settings.get(name, {}).items()}
        values = _values(name, flow, chosen)
        told += [
            {task: {to: values[one.name]}} for one in flow.options if values[one.name] for task, to in one.sets.items()
        ]
        flow = _chosen(name, flow, chosen, values)
        made[name] = replace(found, instrument=replace(found.instrument, workflow=flow))
    return made, merged(*told, {task: values for task, values in settings.items() if task not in instruments})


def _values(name: str, workflow: Workflow, chosen: Mapping[str, Any]) -> dict[str, str]:
    """Return the value of every option."""
    known = {*(one.name for one in workflow.windows), *(one.name for one in workflow.options)}
    for one in chosen:
        if one not in known:
            raise BadData(f"{name} has no window or option {one!r}", hint=near(one, known) if known else "leave it out")
    return {one.name: _value(name, one, chosen.get(one.name, one.values[0])) for one in workflow.options}


def _chosen(name: str, workflow: Workflow, chosen: Mapping[str, Any], values: Mapping[str, str]) -> Workflow:
    """Return a workflow as the user wants it."""
    windows = {window.name for window in workflow.windows}
    days = _days(name, workflow, {key: value for key, value in chosen.items() if key in windows})
    keys = {one.name: one.keys[values[one.name]] for one in workflow.options if one.keys}
    fields = tuple(replace(one, apart=_number(name, one.option, values[one.option])) for one in workflow.fields)
    return replace(workflow, tasks=tuple(_task(task, days, values, keys) for task in workflow.tasks), fields=fields)


def _number(name: str, option: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise BadData(f"{name}.{option}={value}: no number", hint=f"-p {name}.{option}=60") from error


def _value(name: str, option: Option, chosen: Any) -> str:
    """Return the value of an option: yes and no may be said as true and false, of a file or as observatories do."""
    text = str(chosen)
    if text not in option.values:
        text = {"true": "yes", "false": "no"}.get(text.casefold(), text)
    if text not in option.values and not option.free:
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


def _task(task: Task, days: Mapping[str, float], values: Mapping[str, str], keys: Mapping[str, str]) -> Task:
    counts = [rule for rule in task.associations if all(values[name] in some for name, some in rule.when.items())]
    group = task.main.group_by
    main = task.main if group is None else replace(task.main, group_by=_named(group, keys))
    return replace(task, main=main, associations=tuple(_rule(rule, days, keys) for rule in counts))


def _rule(rule: Association, days: Mapping[str, float], keys: Mapping[str, str]) -> Association:
    return replace(rule, ladder=tuple(_rung(rung, days, keys) for rung in rule.ladder))


def _rung(rung: Match, days: Mapping[str, float], keys: Mapping[str, str]) -> Match:
    rung = replace(rung, same=_named(rung.same, keys))
    if not rung.window:
        return rung
    width = days[rung.window]
    return replace(rung, days=(-width, width))


def _named(same: tuple[str, ...], keys: Mapping[str, str]) -> tuple[str, ...]:
    """Put setup keys in place of options' names, each once."""
    return tuple(dict.fromkeys(keys.get(one, one) for one in same))

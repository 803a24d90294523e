"""Parameters of every task: command line over file over workflow over recipe."""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.instrument import Instrument
from tracecube.core.params import Params
from tracecube.core.workflow import Task

__all__ = ["Settings", "from_command_line", "from_file", "merged", "near", "params_of", "preset", "resolve", "spelt"]

Settings = Mapping[str, Mapping[str, Any]]
"""Task -> parameter -> value."""


def near(name: str, known: Iterable[str]) -> str:
    """Return a hint that names what may have been meant.

    Examples
    --------
    >>> near("trces", ["bias", "traces"])
    'did you mean traces?'
    >>> near("xyz", ["bias", "traces"])
    'known are bias, traces'
    """
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(known)}"


def spelt(name: str, known: Collection[str]) -> str:
    """Return the known name that was meant: observatories write hyphens where others write underscores.

    Examples
    --------
    >>> spelt("skymodel-fraction", {"skymodel_fraction"}), spelt("other-name", {"order"})
    ('skymodel_fraction', 'other-name')
    """
    plain = name.replace("-", "_")
    return plain if name not in known and plain in known else name


def from_command_line(options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read ``task.parameter=value`` options.

    Raises
    ------
    BadData
        One has another form.

    Examples
    --------
    >>> from_command_line(["traces.order=3"])
    {'traces': {'order': '3'}}
    """
    found: dict[str, dict[str, Any]] = {}
    for option in options:
        name, equals, value = option.partition("=")
        task, dot, parameter = name.strip().partition(".")
        if not (equals and dot and task and parameter):
            raise BadData(f"parameter {option!r} is not of the form task.parameter=value", hint="-p traces.order=3")
        found.setdefault(task, {})[parameter] = value.strip()
    return found


def from_file(path: Path) -> dict[str, dict[str, Any]]:
    """Read a TOML file with one table a task.

    Raises
    ------
    MissingInput
        No such file.
    BadData
        It is not TOML, or has values outside a table.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingInput(f"{path}: no such parameter file", hint="check the path, or the preset's name") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: not a TOML file ({error})", hint="write tables: [traces] newline order = 3") from error
    loose = [name for name, table in content.items() if not isinstance(table, dict)]
    if loose:
        raise BadData(f"{path}: {', '.join(loose)} outside a task's table", hint="put it under a line like [traces]")
    return content


def preset(name: str, instruments: Iterable[Instrument]) -> dict[str, dict[str, Any]] | None:
    """Return what the presets of this name set, or None where no instrument has one."""
    found = [one.presets[name] for one in instruments if name in one.presets]
    return merged(*found) if found else None


def merged(*layers: Settings) -> dict[str, dict[str, Any]]:
    """Return the settings of all layers, the later over the earlier."""
    found: dict[str, dict[str, Any]] = {}
    for layer in layers:
        for task, values in layer.items():
            found.setdefault(task, {}).update(values)
    return found


def resolve(settings: Settings, instruments: Sequence[Instrument]) -> dict[tuple[str, str], Params]:
    """Return the parameters of every task of every instrument, validated.

    Tasks of several instruments may have one name: a parameter counts for those that have it.

    Returns
    -------
    dict of (instrument, task) to Params

    Raises
    ------
    BadData
        A task or parameter is unknown, or a value is not allowed.
    """
    tasks = {(one.name, task.name): task for one in instruments for task in one.workflow.tasks}
    names = {name for _, name in tasks}
    for name in settings:
        if name not in names:
            raise BadData(f"no task is called {name!r}", hint=near(name, names))
    settings = _handed_on(settings, tasks.values())
    found: dict[tuple[str, str], Params] = {}
    for key, task in tasks.items():
        own = task.parameter_names()
        others = {one for (_, name), other in tasks.items() if name == task.name for one in other.parameter_names()}
        chosen = {spelt(name, own): value for name, value in settings.get(task.name, {}).items()}
        found[key] = params_of(task, {name: chosen[name] for name in chosen if name in own or name not in others})
    return found


def _handed_on(settings: Settings, tasks: Iterable[Task]) -> Settings:
    """Give parameters of an observatory's recipe that another task has to that task, over what that is told."""
    handed: dict[str, dict[str, Any]] = {}
    kept = {task: dict(values) for task, values in settings.items()}
    for task in tasks:
        if task.namesake is None or task.name not in kept:
            continue
        start = f"{task.namesake.prefix}."
        for name in [one for one in kept[task.name] if one not in task.parameter_names()]:
            plain = name.removeprefix(start).replace("-", "_")
            if plain in task.namesake.elsewhere:
                handed.setdefault(task.namesake.elsewhere[plain], {})[plain] = kept[task.name].pop(name)
    return merged(kept, handed)


def params_of(task: Task, chosen: Mapping[str, Any]) -> Params:
    """Return the parameters of a task: what was chosen, over the workflow's, over the recipe's.

    Raises
    ------
    BadData
        A parameter is unknown, or a value is not allowed.
    """
    model = task.recipe.params
    names = task.parameter_names()
    values: dict[str, Any] = {}
    for name, value in {**task.params, **_by_field(chosen, names)}.items():
        field = names.get(name)
        if field is None:
            raise _no_parameter(task, name, names)
        values[field] = value
    try:
        return model.model_validate(values)
    except ValidationError as first:
        decoded = {name: _decoded(value) for name, value in values.items()}
        wrong = {str(fault["loc"][0]) for fault in first.errors() if fault["loc"]}
        try:
            return model.model_validate({name: decoded[name] if name in wrong else values[name] for name in values})
        except ValidationError as error:
            raise _not_allowed(task, error) from error


def _no_parameter(task: Task, name: str, names: Iterable[str]) -> BadData:
    """Say that there is no such parameter; of an observatory's, why."""
    if task.namesake is not None:
        plain = name.removeprefix(f"{task.namesake.prefix}.").replace("-", "_")
        for pattern, why in task.namesake.without.items():
            if fnmatchcase(plain, pattern):
                return BadData(f"task {task.name}: {name} has no counterpart here", hint=f"leave it out: {why}")
        if plain in task.namesake.elsewhere:
            where = task.namesake.elsewhere[plain]
            return BadData(f"task {task.name}: {name} has no counterpart here", hint=f"leave it out: {where} has it")
    return BadData(f"task {task.name} has no parameter {name!r}", hint=near(name, names))


def _by_field(chosen: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Replace aliases, so that a choice always lies over the workflow's own setting."""
    return {names.get(name, name): value for name, value in chosen.items()}


def _decoded(value: Any) -> Any:
    """Read text of the command line that is not a plain word or number: a list, a truth value, null.

    A list may stand without brackets, as observatories write it.

    Examples
    --------
    >>> _decoded("[10, 4]"), _decoded("true"), _decoded("10.,4.")
    ([10, 4], True, ['10.', '4.'])
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return [part.strip() for part in value.split(",")] if "," in value else value


def _not_allowed(task: Task, error: ValidationError) -> BadData:
    """Say what is wrong with values, or with several of them together."""
    said = [(".".join(map(str, fault["loc"])), fault) for fault in error.errors()]
    faults = [
        f"{task.name}.{name}={fault['input']!r}: {fault['msg']}"
        if name
        else f"{task.name}: {fault['msg'].removeprefix('Value error, ')}"
        for name, fault in said
    ]
    return BadData("; ".join(faults), hint=f"see `tracecube explain {task.recipe.name}` for what is allowed")

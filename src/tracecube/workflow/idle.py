"""Options that were chosen and change nothing: no job asks for them, or nothing of their kind is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tracecube.core.params import Params
from tracecube.workflow.discover import Found
from tracecube.workflow.jobs import PlannedJob
from tracecube.workflow.settings import Settings, spelt

__all__ = ["Work", "idle_options"]

Work = tuple[Sequence[PlannedJob], Mapping[tuple[str, str], Params]]
"""Jobs that are to be done, and the parameters of tasks."""


def idle_options(
    instruments: Mapping[str, Found], settings: Settings, work_of: Callable[[Settings], Work]
) -> Iterator[str]:
    """Say which options of workflows change no job of what is to be done.

    Limits, which are free numbers, may well change nothing; and what is chosen anyway needs no word.

    Parameters
    ----------
    instruments : mapping of str to Found
        Before anything was chosen.
    settings : Settings
        As chosen.
    work_of : callable
        ``work_of(settings)`` -> what is to be done with these.
    """
    now: Any = None
    for name in sorted(set(settings) & set(instruments)):
        options = {one.name: one for one in instruments[name].instrument.workflow.options}
        for key, value in settings[name].items():
            option = options.get(spelt(key, set(options)))
            if option is None or option.free or str(value) == option.values[0]:
                continue
            without = {other: said for other, said in settings[name].items() if other != key}
            now = now if now is not None else _told(work_of(settings))
            if _told(work_of({**settings, name: without})) == now:
                yield f"{name}.{option.name}={value} changes nothing here: no job gets anything else by it"


def _told(work: Work) -> list[Any]:
    """Return what decides what jobs make."""
    jobs, params = work
    return [
        (
            job.task.name,
            job.name,
            job.night,
            [(one.role, [item.identity for item in one.items]) for one in job.bindings],
            params.get((job.instrument, job.task.name)),
        )
        for job in jobs
    ]

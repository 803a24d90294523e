"""Parameters that persons set for single jobs, over those of all jobs of a task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from tracecube.archive.records import AdjustmentRecord
from tracecube.core.errors import BadData
from tracecube.core.params import Params
from tracecube.workflow.jobs import JobKey

__all__ = ["params_by_hand"]


def params_by_hand(
    params: Mapping[tuple[str, str], Params], adjusted: Iterable[AdjustmentRecord]
) -> dict[JobKey, Params]:
    """Return the parameters of jobs that persons adjusted: their values over those of all jobs of the task.

    Adjustments of instruments and tasks that are not among ``params`` wait until these are back.

    Raises
    ------
    BadData
        A value is not allowed (any more).
    """
    found: dict[JobKey, Params] = {}
    for one in adjusted:
        usual = params.get((one.instrument, one.task))
        if usual is None:
            continue
        try:
            chosen = type(usual).model_validate({**usual.model_dump(mode="json"), **one.params})
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, f['loc']))}={f['input']!r}: {f['msg']}" for f in error.errors())
            raise BadData(f"adjustment {one.tag} of {one.task} {one.name}: {faults}", hint="adjust it again") from error
        found[one.instrument, one.task, one.name, one.night] = chosen
    return found

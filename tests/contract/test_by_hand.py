"""Instruments that let a person change extractions name tasks that can be changed."""

from __future__ import annotations

import pytest

from tracecube.core.by_hand import PARAMETERS
from tracecube.core.instrument import Instrument
from tracecube.core.target import Target
from tracecube.workflow.discover import discover

CHANGEABLE = {name: one.instrument for name, one in discover().items() if one.instrument.by_hand is not None}


def test_some_instrument_can() -> None:
    assert CHANGEABLE


@pytest.mark.parametrize("instrument", CHANGEABLE.values(), ids=CHANGEABLE)
def test_tasks_have_the_parameters_and_give_a_verdict(instrument: Instrument) -> None:
    tasks = {task.name: task for task in instrument.workflow.tasks}
    for name in instrument.by_hand.tasks:
        recipe = tasks[name].recipe
        assert set(PARAMETERS) <= set(recipe.params.model_fields)
        assert tasks[name].main.group_by is None, "one exposure a job"
        [verdict] = [out for out in recipe.outputs if out.name == "target"]
        assert verdict.noun is Target
    assert instrument.by_hand.recoverable in instrument.quality_reasons

"""Intervals of time that users set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tracecube.core.errors import BadData
from tracecube.core.workflow import Match, Window
from tracecube.workflow.check import faults
from tracecube.workflow.windows import opened


@pytest.fixture
def windowed(small):
    """The small workflow, whose calibrations come from a window."""
    flow = small.instrument.workflow
    rung = Match(1, same=("speed",), window="lamp_days")
    tasks = [replace(t, associations=tuple(replace(a, ladder=(rung,)) for a in t.associations)) for t in flow.tasks]
    flow = replace(flow, tasks=tuple(tasks), windows=(Window("lamp_days", 7.0, "between lamps and science"),))
    return replace(small, instrument=replace(small.instrument, name="spec", workflow=flow))


def widths(found) -> set[tuple[float, float]]:
    return {g.days for t in found.instrument.workflow.tasks for a in t.associations for g in a.ladder}


@pytest.mark.parametrize(("given", "width"), [({}, 7.0), ({"lamp_days": "21"}, 21.0), ({"lamp_days": 0.5}, 0.5)])
def test_every_rung_has_the_days_of_its_window_and_tasks_keep_their_settings(windowed, given, width):
    found, rest = opened({"spec": windowed}, {"spec": given, "flat": {"order": 3}})
    assert widths(found["spec"]) == {(-width, width)}
    assert rest == {"flat": {"order": 3}}
    assert faults(windowed.instrument) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [({"lamp_day": 3}, "did you mean lamp_days"), ({"lamp_days": "x"}, "no number of days"), ({"lamp_days": -1}, "no")],
)
def test_an_unknown_window_and_no_number_are_refused(windowed, given, said):
    with pytest.raises(BadData, match=said):
        opened({"spec": windowed}, {"spec": given})


def test_a_rung_that_names_no_window_is_a_fault_of_the_workflow(windowed):
    flow = replace(windowed.instrument.workflow, windows=())
    assert any("lamp_days" in fault for fault in faults(replace(windowed.instrument, workflow=flow)))

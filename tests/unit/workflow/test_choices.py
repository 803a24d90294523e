"""Intervals of time that users set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tracecube.core.errors import BadData
from tracecube.core.workflow import Association, Match, Option, Window
from tracecube.workflow.check import faults
from tracecube.workflow.choices import opened


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


@pytest.fixture
def ways(small):
    """The small workflow, whose calibrations count only when they are wanted."""
    flow = small.instrument.workflow
    tasks = [
        replace(t, associations=tuple(replace(a, when={"how": ("dark", "both")}) for a in t.associations))
        for t in flow.tasks
    ]
    flow = replace(flow, tasks=tuple(tasks), options=(Option("how", ("dark", "both", "none"), "what is taken off"),))
    return replace(small, instrument=replace(small.instrument, name="spec", workflow=flow))


@pytest.mark.parametrize(("given", "there"), [({}, True), ({"how": "both"}, True), ({"how": "none"}, False)])
def test_rules_count_as_the_option_says(ways, given, there):
    found, _ = opened({"spec": ways}, {"spec": given})
    assert any(task.associations for task in found["spec"].instrument.workflow.tasks) is there


@pytest.mark.parametrize(("given", "said"), [({"hwo": "x"}, "did you mean how"), ({"how": "x"}, "dark, both, none")])
def test_an_unknown_option_and_value_are_refused(ways, given, said):
    with pytest.raises(BadData, match=said):
        opened({"spec": ways}, {"spec": given})


def test_truth_values_of_a_file_are_yes_and_no(ways):
    flow = replace(ways.instrument.workflow, options=(Option("how", ("no", "yes"), "whether"),))
    found = replace(ways, instrument=replace(ways.instrument, workflow=flow))
    yes, _ = opened({"spec": found}, {"spec": {"how": True}})
    assert yes.keys() == {"spec"}


def test_a_needed_argument_that_an_option_takes_away_is_a_fault(ways):
    assert any("is bound to nothing with how=none" in fault for fault in faults(ways.instrument))
    flow = replace(ways.instrument.workflow, options=())
    assert any("how=both, which is not declared" in fault for fault in faults(replace(ways.instrument, workflow=flow)))


def test_rules_that_never_count_together_exclude_each_other():
    one = Association("a", ("A",), (Match(0),), when={"how": ("x",)})
    assert one.excludes(replace(one, when={"how": ("y", "z")}))
    assert not one.excludes(replace(one, when={"how": ("x", "z")}))
    assert not one.excludes(replace(one, when={"other": ("y",)}))


@pytest.mark.parametrize("said", ["FALSE", "false", False, "no"])
def test_no_may_be_said_as_an_observatory_does(ways, said):
    flow = ways.instrument.workflow
    told = Option("with_dark", ("yes", "no"), "whether", sets={"flat": "note"})
    found = replace(ways, instrument=replace(ways.instrument, workflow=replace(flow, options=(*flow.options, told))))
    for name in ("with_dark", "with-dark"):
        assert opened({"spec": found}, {"spec": {name: said}})[1] == {"flat": {"note": "no"}}
    with pytest.raises(BadData, match="with_dark=perhaps"):
        opened({"spec": found}, {"spec": {"with-dark": "perhaps"}})

"""Workflows that do not close are told why, before a frame is reduced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tracecube.core.workflow import Association, Main, Match, Task
from tracecube.workflow.check import faults

ANY = (Match(0),)


def test_a_sound_workflow_has_no_faults(small):
    assert faults(small.instrument) == []


def unknown_tag(_bias: Task, flat: Task) -> Task:
    return replace(flat, main=Main("lamps", ("HG", "NEON")))


def unbound(_bias: Task, flat: Task) -> Task:
    return replace(flat, associations=())


def bound_twice(_bias: Task, flat: Task) -> Task:
    return replace(flat, associations=flat.associations * 2)


def no_such_argument(_bias: Task, flat: Task) -> Task:
    return replace(flat, associations=(*flat.associations, Association("dark", ("BIAS",), ANY)))


def several_for_one(_bias: Task, flat: Task) -> Task:
    return replace(flat, associations=(replace(flat.associations[0], maximum=None),))


def none_for_one(_bias: Task, flat: Task) -> Task:
    return replace(flat, associations=(replace(flat.associations[0], minimum=0),))


def no_rung(_bias: Task, flat: Task) -> Task:
    return replace(flat, associations=(replace(flat.associations[0], ladder=()),))


def no_such_output(_bias: Task, flat: Task) -> Task:
    return replace(flat, tags={"nothing": "X"})


def wrong_parameter(_bias: Task, flat: Task) -> Task:
    return replace(flat, params={"ordr": 3})


def makes_raw(_bias: Task, flat: Task) -> Task:
    return replace(flat, tags={"flat": "HG"})


def same_name(bias: Task, flat: Task) -> Task:
    return replace(flat, name=bias.name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (unknown_tag, "flat: nothing makes NEON"),
        (unbound, "flat: argument master_bias is bound to nothing"),
        (bound_twice, "flat: argument master_bias is bound twice"),
        (no_such_argument, "flat: recipe make_flat has no argument dark"),
        (several_for_one, "flat: master_bias may be several, but the recipe takes one"),
        (none_for_one, "flat: master_bias may be missing, but the recipe does not take None"),
        (no_rung, "flat: master_bias has no rung to match on"),
        (no_such_output, "flat: recipe make_flat has no output nothing"),
        (wrong_parameter, "task flat has no parameter 'ordr'"),
        (makes_raw, "HG is a raw tag and a product tag"),
        (same_name, "two tasks are called bias"),
    ],
)
def test_each_fault_has_its_sentence(small, instrument_of, change: Callable[[Task, Task], Task], sentence):
    cube, flat, bias = small.instrument.workflow.tasks
    assert sentence in faults(instrument_of(cube, change(bias, flat), bias))


def test_a_group_for_a_recipe_that_takes_one(small, instrument_of):
    cube, flat, bias = small.instrument.workflow.tasks
    grouped = replace(cube, main=Main("frame", ("SCIENCE",), ("night",)))
    assert "cube: frame is a group, but the recipe takes one" in faults(instrument_of(grouped, flat, bias))


def test_a_default_target_of_no_task(small):
    workflow = replace(small.instrument.workflow, default_target="nothing")
    assert faults(replace(small.instrument, workflow=workflow)) == ["default target nothing is that of no task"]


@pytest.mark.parametrize(
    ("parts", "part", "sentence"),
    [
        ({}, "lamps", "sub-workflow lamps is not declared"),
        ({"lamps": ""}, "", "sub-workflow lamps has no task"),
        ({"calibration": ""}, "calibration", "calibration is a sub-workflow and another target"),
    ],
)
def test_subworkflows_are_declared_used_and_no_other_target(small, parts, part, sentence):
    cube, flat, bias = small.instrument.workflow.tasks
    tasks = (cube, replace(flat, subworkflow=part), bias)
    workflow = replace(small.instrument.workflow, tasks=tasks, subworkflows=parts)
    assert faults(replace(small.instrument, workflow=workflow)) == [sentence]


def test_a_circle(small, instrument_of):
    cube, flat, bias = small.instrument.workflow.tasks
    loop = replace(flat, associations=(replace(flat.associations[0], tags=("CUBE",)),))
    assert any("in a circle" in fault for fault in faults(instrument_of(cube, loop, bias)))

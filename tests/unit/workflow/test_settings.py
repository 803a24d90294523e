"""Parameters: command line over file over workflow over recipe, and errors that help."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.params import Params
from tracecube.workflow.settings import from_command_line, from_file, merged, near, params_of, resolve


@pytest.fixture
def flat(small):
    return small.instrument.workflow.tasks[1]


def test_precedence(flat, tmp_path):
    with_workflow = replace(flat, params={"order": 3, "note": "workflow"})
    (tmp_path / "p.toml").write_text('[flat]\norder = 4\nnames = ["f"]\n')
    file = from_file(tmp_path / "p.toml")
    line = from_command_line(["flat.order=5"])
    assert params_of(flat, {}).order == 2
    assert params_of(with_workflow, {}).order == 3
    assert params_of(with_workflow, file["flat"]).order == 4
    chosen = params_of(with_workflow, merged(file, line)["flat"])
    assert (chosen.order, chosen.names, chosen.note) == (5, ("f",), "workflow")


def test_a_parameter_counts_for_those_tasks_of_one_name_that_have_it(small, flat):
    bias = small.instrument.workflow.tasks[2]
    other = replace(flat, recipe=bias.recipe)  # of another instrument
    flow = small.instrument.workflow
    second = replace(small.instrument, name="second", workflow=replace(flow, tasks=(other,)))
    found = resolve({"flat": {"order": 7}}, [small.instrument, second])
    assert found[small.instrument.name, "flat"].order == 7
    assert not hasattr(found["second", "flat"], "order")
    with pytest.raises(BadData, match="no parameter 'ordre'"):
        resolve({"flat": {"ordre": 7}}, [small.instrument, second])


def test_an_alias_lies_over_the_workflow_too(flat):
    assert params_of(replace(flat, params={"order": 3}), {"obs.flat.order": 7}).order == 7
    assert params_of(replace(flat, params={"obs.flat.order": 3}), {"order": 7}).order == 7


def test_an_alias_with_dots_on_the_command_line(flat):
    assert params_of(flat, from_command_line(["flat.obs.flat.order=9"])["flat"]).order == 9


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("order=7", "order", 7),
        ('names=["x", "y"]', "names", ("x", "y")),
        ("limit=1e-3", "limit", 1e-3),
        ("limit=null", "limit", None),
        ("note=5", "note", "5"),
        ("note=a=b", "note", "a=b"),
    ],
)
def test_values_of_the_command_line(flat, text, name, value):
    assert getattr(params_of(flat, from_command_line([f"flat.{text}"])["flat"]), name) == value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.floats(allow_nan=False, allow_infinity=False), order=st.integers(0, 10**9))
def test_numbers_come_through_the_command_line_unchanged(flat, limit, order):
    chosen = params_of(flat, from_command_line([f"flat.limit={limit!r}", f"flat.order={order}"])["flat"])
    assert (chosen.limit, chosen.order) == (limit, order)


def test_errors_name_what_may_have_been_meant(small, flat):
    with pytest.raises(BadData, match=r"task flat has no parameter 'ordr' \(try: did you mean order\?\)"):
        params_of(flat, {"ordr": 1})
    with pytest.raises(BadData, match=r"no task is called 'flt' \(try: did you mean flat\?\)"):
        resolve({"flt": {}}, [small.instrument])
    with pytest.raises(BadData, match=r"flat.order=-1: Input should be greater than or equal to 0"):
        params_of(flat, {"order": -1})
    with pytest.raises(BadData, match="see `tracecube explain make_flat`"):
        params_of(flat, {"order": "many"})


@pytest.mark.parametrize("option", ["flat", "flat=3", "flat.=3", ".order=3", "order"])
def test_options_of_another_form_are_refused(option):
    with pytest.raises(BadData, match=r"is not of the form task.parameter=value"):
        from_command_line([option])


def test_files(tmp_path):
    with pytest.raises(MissingInput, match="no such parameter file"):
        from_file(tmp_path / "nowhere.toml")
    (tmp_path / "bad.toml").write_text("[flat\n")
    with pytest.raises(BadData, match="not a TOML file"):
        from_file(tmp_path / "bad.toml")
    (tmp_path / "loose.toml").write_text("order = 3\n")
    with pytest.raises(BadData, match="order outside a task's table"):
        from_file(tmp_path / "loose.toml")


def test_resolve_gives_every_task_of_every_instrument(small):
    chosen = resolve({"flat": {"order": 6}}, [small.instrument])
    assert set(chosen) == {("small", "bias"), ("small", "flat"), ("small", "cube")}
    assert chosen["small", "flat"].order == 6


def test_near_lists_all_when_nothing_is_close():
    assert near("zzz", ["b", "a"]) == "known are a, b"


@pytest.mark.parametrize("words", ["x,y", '["x", "y"]', "x, y"])
def test_a_list_may_stand_without_brackets(flat, words):
    assert params_of(flat, {"names": words}).names == ("x", "y")


def test_hyphens_may_stand_for_underscores(flat, small):
    long = replace(flat, recipe=replace(flat.recipe, params=Wide))
    assert params_of(long, {"sky_share": 0.3}).sky_share == 0.3
    flow = replace(small.instrument.workflow, tasks=(long,))
    found = resolve({"flat": {"sky-share": "0.4"}}, [replace(small.instrument, workflow=flow)])
    assert found[small.instrument.name, "flat"].sky_share == 0.4
    with pytest.raises(BadData, match="no parameter 'sky-shore'"):
        resolve({"flat": {"sky-shore": "0.4"}}, [replace(small.instrument, workflow=flow)])


class Wide(Params):
    """A parameter of two words."""

    sky_share: float = 0.1

"""Choices for a whole workflow, and which exposures see one field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tracecube.core.errors import BadData
from tracecube.core.workflow import Fields, Option
from tracecube.workflow.choices import opened
from tracecube.workflow.fields import with_fields
from tracecube.workflow.items import Item

OPTIONS = (
    Option("combine", ("speed", "night"), "what is put together", keys={"speed": "speed", "night": "night"}),
    Option("order", ("",), "of the flats", free=True, sets={"flat": "order"}),
    Option("apart", ("60",), "fields", free=True),
)


@pytest.fixture
def chosen(small):
    """The small workflow; biases go together by an option."""
    flow = small.instrument.workflow
    tasks = tuple(
        replace(t, main=replace(t.main, group_by=("night", "combine"))) if t.name == "bias" else t for t in flow.tasks
    )
    flow = replace(flow, tasks=tasks, options=OPTIONS, fields=(Fields("apart"),))
    return replace(small, instrument=replace(small.instrument, name="spec", workflow=flow))


def task(found, name):
    return next(one for one in found.instrument.workflow.tasks if one.name == name)


def test_defaults_stand_without_a_word(chosen):
    found, rest = opened({"spec": chosen}, {"flat": {"names": "b"}})
    assert task(found["spec"], "bias").main.group_by == ("night", "speed")
    assert rest == {"flat": {"names": "b"}}


def test_an_option_groups_and_sets(chosen):
    given = {"combine": "night", "order": "3", "apart": "5"}
    found, rest = opened({"spec": chosen}, {"spec": given})
    assert task(found["spec"], "bias").main.group_by == ("night",)
    assert found["spec"].instrument.workflow.fields[0].apart == 5.0
    assert rest == {"flat": {"order": "3"}}


def test_a_task_is_told_more_than_its_option(chosen):
    _, rest = opened({"spec": chosen}, {"spec": {"order": "3"}, "flat": {"order": "4"}})
    assert rest == {"flat": {"order": "4"}}


@pytest.mark.parametrize("given", [{"combine": "nights"}, {"apart": "far"}])
def test_what_is_no_choice_is_refused(chosen, given):
    with pytest.raises(BadData, match=r"not among|no number"):
        opened({"spec": chosen}, {"spec": given})


def item(name: str, ra: float | None, dec: float = -30.0, mode: str = "wide") -> Item:
    return Item(
        tag="OBJECT", name=name, identity=name, path="", setup={"ra": ra, "dec": dec, "mode": mode}, mjd=1.0,
        exptime=1.0, object=None, raw=name,
    )  # fmt: skip


def test_exposures_of_a_field_hang_together_by_their_neighbours():
    step = 50.0 / 3600.0 / 0.8660254
    items = [item("a", 10.0), item("b", 20.0), item("c", 10.0 + step), item("d", 10.0 + 2 * step), item("e", None)]
    found = with_fields(
        [*items, item("f", 10.0, mode="narrow")],
        (Fields("", {"mode": ("wide",)}, 60.0), Fields("", {"mode": ("narrow",)}, 9.0)),
    )
    assert [one.setup.get("field") for one in found] == [1, 2, 1, 1, None, 3]


def test_fields_meet_where_right_ascension_begins_again():
    found = with_fields([item("a", 359.9999), item("b", 0.0001)], (Fields("", apart=2.0),))
    assert [one.setup["field"] for one in found] == [1, 1]

"""The job graph: groups, names, levels, what is missing; the same for any order of files."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracecube.core.errors import BadData
from tracecube.core.frame import RawFrame
from tracecube.core.params import Params
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Image
from tracecube.core.text import TextFile
from tracecube.core.workflow import Association, Instead, Main, Match, Task
from tracecube.workflow.discover import Found
from tracecube.workflow.jobs import Plan
from tracecube.workflow.plan import make_plan, ordered_tasks

OUT = Path("/out")


def plan_of(found: Found, files) -> Plan:
    return make_plan([found], files, OUT)


@dataclass(frozen=True, kw_only=True)
class NoteOut(Outputs):
    text: TextFile | None
    seen: Image


@recipe(version="1")
def make_note(*, frame: RawFrame, params: Params = Params()) -> NoteOut:
    """Only planned."""
    raise NotImplementedError


def labels(jobs) -> list[str]:
    return [job.label for job in jobs]


def test_a_whole_night_gives_a_closed_chain(small, whole_night):
    plan = plan_of(small, whole_night)
    assert labels(plan.jobs) == ["bias 20200101_0.1", "flat 20200101", "cube s0"]
    assert all(job.complete for job in plan.jobs)
    cube = plan.jobs[2]
    assert [(b.role, [item.name for item in b.items]) for b in cube.bindings] == [
        ("frame", ["s0"]),
        ("flat", ["20200101"]),
        ("guide", ["g0"]),
    ]
    assert [job.sources for job in plan.jobs] == [(), (0,), (1,)]


def test_products_inherit_what_their_main_inputs_agree_on(small, whole_night):
    bias, flat, cube = (job.outputs for job in plan_of(small, whole_night).jobs)
    assert bias[0].path == "/out/2020-01-01/bias/20200101_0.1_MASTER_BIAS.fits"
    assert (bias[0].raw, bias[0].object, bias[0].mjd) == (None, None, 0.005)
    assert bias[0].setup == {"night": "2020-01-01", "speed": 0.1, "raw_tag": "BIAS"}
    assert [item.tag for item in flat] == ["FLAT", "GHOSTS"]
    assert "raw_tag" not in flat[0].setup  # an HG and a XE frame have no common tag
    assert (cube[0].raw, cube[0].object, cube[0].exptime, cube[0].mjd) == ("s0", "M31", 1000.0, 0.5)
    assert cube[0].path == "/out/2020-01-01/cube/s0_CUBE.fits"


def test_the_noun_of_an_output_says_how_its_file_is_called(instrument_of, small, whole_night):
    task = Task("note", make_note, Main("frame", ("SCIENCE",)), tags={"text": "NOTE"})
    [job] = plan_of(replace(small, instrument=instrument_of(task)), whole_night).jobs
    assert [item.path for item in job.outputs] == [
        "/out/2020-01-01/note/s0_NOTE.txt",
        "/out/2020-01-01/note/s0_SEEN.fits",
    ]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_the_order_of_files_changes_nothing(small, whole_night, raw, chance: random.Random):
    more = [raw("BIAS", f"o{i}", 1.0 + i % 2, night="2020-01-02") for i in range(4)]
    more += [raw("SCIENCE", "s1", 1.2, night="2020-01-02"), raw("SCIENCE", "s2", 0.5)]
    files = [*whole_night, *more]
    expected = plan_of(small, files)
    chance.shuffle(files)
    assert plan_of(small, files) == expected


def test_groups_smaller_than_the_minimum_are_incomplete(small, whole_night):
    plan = plan_of(small, [file for file in whole_night if file.name != "b1"])
    texts = {job.label: [str(missing) for missing in job.missing] for job in plan.jobs}
    assert texts == {
        "bias 20200101_0.1": ["1 BIAS where at least 2 are needed (try: add the missing frames to the raw folder)"],
        "flat 20200101": [
            "MASTER_BIAS: 1 BIAS where at least 2 are needed (try: add the missing frames to the raw folder)"
        ],
        "cube s0": [
            "FLAT <- MASTER_BIAS: 1 BIAS where at least 2 are needed (try: add the missing frames to the raw folder)"
        ],
    }


def test_an_absent_lamp_is_named(small, whole_night):
    plan = plan_of(small, [file for file in whole_night if file.name != "xe"])
    flat = plan.jobs[1]
    assert str(flat.missing[0]) == "no XE among 1 HG (try: look for it with `tracecube ls`)"


def test_no_raw_frame_at_all_is_followed_back_to_its_tag(small, whole_night):
    plan = plan_of(small, [file for file in whole_night if file.tag == "SCIENCE"])
    assert [str(missing) for missing in plan.jobs[0].missing] == ["FLAT: no HG/XE in the raw folder (try: take lamps)"]


def test_candidates_that_do_not_match_are_counted(small, whole_night, raw):
    plan = plan_of(small, [file for file in whole_night if file.tag != "BIAS"] + [raw("BIAS", "b", 0.0, speed=2.0)] * 1)
    extra = plan_of(
        small,
        [file for file in whole_night if file.tag != "BIAS"] + [raw("BIAS", f"b{i}", 0.0, speed=2.0) for i in range(2)],
    )
    assert not plan.jobs[-1].complete
    text = str(next(job for job in extra.jobs if job.task.name == "flat").missing[0])
    assert text == (
        "1 MASTER_BIAS found, but fewer than 1 with speed 0.1 and between -3 and 3 days of it "
        "(BIAS b0 has speed 2.0) (try: take biases)"
    )


def test_another_night_is_taken_at_a_lower_level(small, whole_night, raw):
    files = [*whole_night, raw("SCIENCE", "s9", 2.0, night="2020-01-03")]
    [dataset] = [d for d in plan_of(small, files).datasets(["science"]) if d.job.name == "s9"]
    assert dataset.complete
    assert dataset.level == 1


def test_a_complete_night_is_preferred_to_a_closer_one_that_lacks_something(small, whole_night, raw):
    files = [*whole_night, raw("BIAS", "lone", 0.9, night="2020-01-02"), raw("HG", "hg2", 0.8, night="2020-01-02")]
    files += [raw("SCIENCE", "s9", 0.9, night="2020-01-02")]
    cube = next(job for job in plan_of(small, files).jobs if job.name == "s9")
    assert cube.complete
    assert cube.bindings[1].items[0].night == "2020-01-01"


def test_targets_by_task_tag_and_group(small, whole_night):
    plan = plan_of(small, whole_night)
    assert labels(plan.end_jobs(["science"])) == ["cube s0"]
    assert labels(plan.end_jobs(["calibration"])) == ["bias 20200101_0.1", "flat 20200101"]
    assert labels(plan.end_jobs(["GHOSTS"])) == ["flat 20200101"]
    assert labels(plan.needed(plan.end_jobs(["flat"]))) == ["bias 20200101_0.1", "flat 20200101"]
    with pytest.raises(BadData, match="did you mean science"):
        plan.end_jobs(["sience"])


def test_a_subworkflow_is_a_target_of_all_its_tasks(small, whole_night):
    cube, flat, bias = small.instrument.workflow.tasks
    tasks = (cube, replace(flat, subworkflow="lamps"), replace(bias, subworkflow="lamps"))
    flow = replace(small.instrument.workflow, tasks=tasks, subworkflows={"lamps": "what lamps tell"})
    plan = plan_of(replace(small, instrument=replace(small.instrument, workflow=flow)), whole_night)
    assert labels(plan.end_jobs(["lamps"])) == ["bias 20200101_0.1", "flat 20200101"]
    assert {name: [task.name for task in tasks] for name, tasks in flow.parts().items()} == {
        "lamps": ["flat", "bias"],
        "": ["cube"],
    }


def test_two_files_of_one_name_get_names_of_their_own(small, whole_night, raw):
    files = [*whole_night, raw("SCIENCE", "s0", 0.7, sha256="other")]
    names = [job.name for job in plan_of(small, files).jobs if job.task.name == "cube"]
    assert len(set(names)) == 2
    assert all(name.startswith("s0_") for name in names)
    paths = [item.path for job in plan_of(small, files).jobs for item in job.outputs]
    assert len(set(paths)) == len(paths)


def test_strange_values_make_harmless_file_names(small, raw):
    files = [raw("SCIENCE", "a b/c", 0.5)]
    assert plan_of(small, files).jobs[0].name == "a-b-c"


def test_where_restricts_main_inputs(instrument_of, small, whole_night, raw):
    task = small.instrument.workflow.tasks[0]
    fast = Task("fast", task.recipe, Main("frame", ("SCIENCE",), where={"speed": (2.0,)}), task.associations)
    found = Found("x:y", instrument_of(fast))
    files = [*whole_night, raw("SCIENCE", "quick", 0.6, speed=2.0)]
    assert labels(plan_of(found, files).jobs) == ["fast quick"]


def test_one_lost_member_does_not_cost_the_group(instrument_of, small, raw, whole_night):
    """A group of products is made of those that can be had."""
    average = small.instrument.workflow.tasks[2].recipe
    mean = Task("mean", average, Main("raw", ("CUBE",), ("raw_tag",)), tags={"master_bias": "MEAN"})
    found = Found("x:y", instrument_of(*small.instrument.workflow.tasks, mean))
    lost = raw("SCIENCE", "lost", 90.0, night="2020-04-01", speed=2.0)
    jobs = {job.task.name + job.name: job for job in plan_of(found, [*whole_night, lost]).jobs}
    assert not jobs["cubelost"].complete
    assert [item.name for item in jobs["meanSCIENCE"].bindings[0].items] == ["s0"]
    assert jobs["meanSCIENCE"].complete
    [without] = map(str, jobs["meanSCIENCE"].without)
    assert without.startswith("CUBE lost: 1 FLAT found, but fewer than 1 with speed 2.0 and between")
    [dataset] = plan_of(found, [*whole_night, lost]).datasets(["mean"])
    assert (dataset.complete, len(dataset.without)) == (True, 1)


def test_tasks_are_ordered_by_their_tags_and_a_circle_is_refused(instrument_of, small):
    assert [task.name for task in ordered_tasks(small.instrument.workflow)] == ["bias", "flat", "cube"]
    cube, flat, bias = small.instrument.workflow.tasks
    loop = Association("master_bias", ("CUBE",), (Match(0),))
    wrong = Task("bias", bias.recipe, bias.main, (loop,))
    with pytest.raises(BadData, match="in a circle: bias"):
        ordered_tasks(instrument_of(wrong, flat, cube).workflow)


def test_a_workflow_that_names_no_argument_of_its_recipe_is_refused(instrument_of, small, whole_night):
    bias = small.instrument.workflow.tasks[2]
    wrong = Task("bias", bias.recipe, Main("rw", ("BIAS",), ("night",)))
    with pytest.raises(BadData, match=r"recipe make_bias has no argument 'rw' \(try: correct the workflow; it has raw"):
        plan_of(Found("x:y", instrument_of(wrong)), whole_night)


def test_two_instruments_do_not_share_frames(instrument_of, small, whole_night, raw):
    other = Found("other:y", instrument_of(*small.instrument.workflow.tasks, name="other"))
    files = [*whole_night, raw("SCIENCE", "theirs", 0.5, instrument="other")]
    plan = make_plan([small, other], files, OUT)
    theirs = next(job for job in plan.jobs if job.name == "theirs")
    assert not theirs.complete
    assert [job.position for job in plan.jobs] == list(range(len(plan.jobs)))


def test_no_files_no_jobs(small):
    plan = plan_of(small, [])
    assert plan.jobs == ()
    assert plan.datasets(["science"]) == []


def test_what_was_given_and_fails_gives_way_to_what_comes_next(small, instrument_of, raw, whole_night):
    """Of two biases that are given the other one, then our own; the job says what failed."""
    bias, flat = (
        next(task for task in small.instrument.workflow.tasks if task.name == name) for name in ("bias", "flat")
    )
    foreign = replace(bias, name="given", main=Main("raw", ("GUIDE",), ("speed",)), tags={"master_bias": "GIVEN"})
    [rule] = flat.associations
    rule = replace(rule, tags=(*rule.tags, "GIVEN"), instead=Instead(("GIVEN",), Match(1)))
    found = replace(small, instrument=instrument_of(bias, foreign, replace(flat, associations=(rule,))))
    files = [*whole_night, raw("GUIDE", "far", 9.0, speed=2.0)]
    given = [job.key for job in plan_of(found, files).jobs if job.task.name == "given"]
    seen = []
    for failed in ([], given[:1], given):
        plan = make_plan([found], files, OUT, dict.fromkeys(failed, "unreadable"))
        [job] = [job for job in plan.jobs if job.task.name == "flat"]
        [binding] = [one for one in job.bindings if one.role == "master_bias"]
        seen.append((binding.items[0].tag, binding.items[0].name, binding.instead))
    assert seen == [
        ("GIVEN", "0.1", ()),
        ("GIVEN", "2.0", ("given 0.1 failed",)),
        ("MASTER_BIAS", "20200101_0.1", ("given 0.1 failed",)),
    ]

"""Which frames beside the mask tell of a star."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.unit.recipes.science.test_mean_star import FLUX, frame
from tracecube.instruments.sphere_ifs.flux_frames import star_of_frames
from tracecube.instruments.sphere_ifs.workflow import workflow


def named(level: float, star: str, plane: int):
    return replace(frame(level, plane), meta={"OBJECT": star, "ARCFILE": "SPHER.f.fits", "PLANE": plane})


def test_all_frames_of_the_star_tell_and_one_far_off_is_named():
    frames = [named(1.0, "HIP 2", 2), named(0.5, "HIP 2", 1), named(1.0, "HIP 2", 0), named(3.0, "HD 1", 0)]
    star, quality, [caveat] = star_of_frames(frames, {"OBJECT": "HIP 2"})
    assert abs(np.mean(star.flux / FLUX) - 1.0) < 0.003
    assert caveat == "flux frames far off the others in brightness are left out: SPHER.f, DIT 1, 0.50 times"
    assert {one.name: one.value for one in quality}["FLUX FRAMES"] == 2.0
    assert star.meta["PLANE"] == 0


def test_frames_of_another_star_stand_in_where_there_is_no_other():
    star, _, caveats = star_of_frames([named(3.0, "HD 1", 0)], {"OBJECT": "HIP 2"})
    assert star.meta["OBJECT"] == "HD 1"
    assert caveats == ()


def test_of_two_other_stars_the_one_nearest_in_time_stands_in_not_their_mean():
    frames = [
        replace(named(level, star, 0), meta={"OBJECT": star, "DATE-OBS": f"2018-11-18T0{hour}:00:00"})
        for level, star, hour in ((3.0, "HD 1", 1), (1.0, "HD 3", 4), (1.0, "HD 3", 5))
    ]
    star, quality, _ = star_of_frames(frames, {"OBJECT": "HIP 2", "DATE-OBS": "2018-11-18T03:30:00"})
    assert abs(np.mean(star.flux / FLUX) - 1.0) < 0.003
    assert star.meta["OBJECT"] == "HD 3"
    assert {one.name: one.value for one in quality}["FLUX FRAMES"] == 2.0
    assert star_of_frames(frames, {"OBJECT": "HIP 2"})[0].meta["OBJECT"] == "HD 1"  # no time: the first


def test_the_search_takes_all_of_them():
    [task] = (one for one in workflow.tasks if one.name == "ifs_companions")
    [rule] = (one for one in task.associations if one.argument == "star_psf")
    assert rule.maximum is None

"""The file for programs that take speckles off: star on the middle pixel, angles with north up, the star's image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from tests.unit.instruments.sphere_ifs.test_stacked import EAST, NAME, NORTH, SPREAD, WAVE, X, Y, centre, dit
from tests.unit.recipes.star_field import source, spectra_of
from tracecube.core.errors import MissingInput
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarPsf
from tracecube.instruments.sphere_ifs import instrument
from tracecube.instruments.sphere_ifs.master_cubes import FORMS, master_cube
from tracecube.io.foreign import write_foreign
from tracecube.recipes.cube.star_cube import StarCubeParams

SMALL, MIDDLE = StarCubeParams(size=51), 25


def brightest(image: np.ndarray) -> tuple[float, float]:
    """Offset (arcsec) of the brightest pixel from the middle one, along x and y."""
    row, column = np.unravel_index(int(np.nanargmax(image)), image.shape)
    return SMALL.pixel * (column - MIDDLE), SMALL.pixel * (row - MIDDLE)


def star_image() -> StarPsf:
    light = np.asarray(source(X, Y, WAVE, SPREAD, lambda _: (0.0, 0.0), 1.0)).T
    none = np.zeros(2)
    return StarPsf(
        WAVE, np.array([2e3, 3e3, 4e3]), np.ones(3), np.zeros(3, np.int32), none, np.zeros((3, 2)), np.zeros((3, 2)),
        X, Y, light, np.full(light.shape, 1e-8), 32.0, 1.0,
    )  # fmt: skip


def test_frames_turned_by_the_given_angles_have_the_companion_where_the_sky_has_it(tmp_path):
    file = master_cube([dit(0), dit(1)], [centre(1), centre(0)], None, SMALL)
    write_foreign(tmp_path / "x.fits", file)
    with fits.open(tmp_path / "x.fits") as hdus:
        assert hdus[0].data.shape == hdus["STAT"].data.shape == (3, 2, 51, 51)
        assert hdus["WAVE"].data == pytest.approx(WAVE * 1e-4)
        assert hdus["DITS"].data["PLANE"].tolist() == [0, 1]
        assert np.diff(hdus["DITS"].data["MJD"]) * 86400 == pytest.approx([16.88], abs=1e-3)
        assert "PSF" not in hdus
        assert (hdus[0].header["STARPIX"], hdus[0].header["CUBEDIT"]) == (26, 16.0)
        for image, angle in zip(hdus[0].data[0], np.radians(hdus["ROTATION"].data), strict=True):
            x, y = brightest(image)
            turned = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
            assert turned == pytest.approx((-EAST, NORTH), abs=SMALL.pixel)


def test_each_channel_has_its_own_star_on_the_middle_pixel():
    x, y = np.array([-0.012, 0.0, 0.012]), np.array([0.0, -0.006, -0.012])

    def place(wave: float) -> tuple[float, float]:
        k = int(np.argmin(np.abs(WAVE - wave)))
        return float(x[k]), float(y[k])

    light = source(X, Y, WAVE, SPREAD, place, 1.0)
    frame: Spectra = spectra_of(X, Y, WAVE, SPREAD, light, np.full(light.shape, 1e-6), dit(0).meta)
    star = replace(centre(0), x=x, y=y, centre_x=float(x[1]), centre_y=float(y[1]))
    cube = master_cube([frame], [star], None, SMALL).planes[0].values[:, 0]
    assert [brightest(plane) for plane in cube] == [(0.0, 0.0)] * 3
    one = master_cube([frame], [replace(star, x=0 * x, y=0 * y)], None, SMALL).planes[0].values[:, 0]
    assert brightest(one[0]) != (0.0, 0.0)


def test_the_stars_image_is_for_the_frames_dit():
    science, _, _, _, image, _ = master_cube([dit(0)], [centre(0)], star_image(), SMALL).planes
    assert science.values == pytest.approx(
        2.0 * master_cube([dit(0)], [centre(0)], None, SMALL).planes[0].values, nan_ok=True
    )  # 32 s, of 16
    assert brightest(image.values[0]) == (0.0, 0.0)
    assert np.nansum(image.values, axis=(1, 2)) == pytest.approx([2e3, 3e3, 4e3], rel=0.05)


def test_what_is_missing_is_named_and_the_file_has_the_stars_name():
    with pytest.raises(MissingInput, match="DIT 1: no star centre"):
        master_cube([dit(1)], [centre(0)], None, SMALL)
    with pytest.raises(MissingInput, match="no DIT"):
        master_cube([], [], None, SMALL)
    [form] = FORMS
    key = form.key({"object": "HIP 1", "mode": "YJH", "night": "2018-11-18", "dit": 16.0})
    assert form.name(key) == "HIP-1_YJH_2018-11-18_master_cube.fits"
    assert instrument.exports["master_cubes"] is FORMS
    made = {tag for task in instrument.workflow.tasks for tag in task.output_tags().values()}
    assert {tag for tag, _ in form.parts.values()} <= made
    assert dit(0).meta["ARCFILE"].startswith(NAME)


def test_the_stars_image_is_the_mean_of_the_frames_that_count():
    first = star_image()
    other = replace(first, share=np.asarray(source(X, Y, WAVE, SPREAD, lambda _: (0.05, 0.0), 1.0)).T)
    frames = [replace(first, meta={"PLANE": 0}), replace(other, meta={"PLANE": 1})]
    key = {"object": "HIP 1", "mode": "YJH", "night": "2018-11-18"}
    [form] = FORMS
    made = form.arrange(key, channels=[dit(0)], centres=[centre(0)], psfs=frames)
    alone = [master_cube([dit(0)], [centre(0)], one, StarCubeParams()).planes[-2].values for one in frames]
    assert np.nanargmax(alone[1][0]) == np.nanargmax(alone[0][0]) + 7  # 50 mas along a row
    assert made.planes[-2].values == pytest.approx(0.5 * (alone[0] + alone[1]), rel=1e-5, nan_ok=True)
    noise = master_cube([dit(0)], [centre(0)], first, StarCubeParams()).planes[-1].values
    assert made.planes[-1].values == pytest.approx(0.5 * noise, rel=1e-4, nan_ok=True)


def test_dits_go_straight_to_where_they_are_written_from():
    """Hundreds of them take gigabytes: no second copy is made of all."""
    made = master_cube((dit(k) for k in range(2)), [centre(0), centre(1)], None, SMALL).planes
    assert made[0].values.base is made[1].values.base is not None
    one = master_cube([dit(0)], [centre(0), centre(1)], None, SMALL).planes  # a centre more than DITs
    assert one[0].values.shape == (3, 1, 51, 51)
    assert np.array_equal(one[0].values[:, 0], made[0].values[:, 0], equal_nan=True)

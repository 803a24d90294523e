"""The cube without speckles: sources where they are and as bright as stated, errors that hold, north up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from tests.unit.recipes.science.test_high_contrast import EMPTY, PARAMS, SCENE, brought_together
from tracecube.core.companions import ResidualCube
from tracecube.core.flags import Flag
from tracecube.io.products import read_product, write_product
from tracecube.recipes.cube.star_cube import StarCubeParams
from tracecube.recipes.science.high_contrast import Surroundings, surroundings
from tracecube.recipes.science.residual_cube import residual_cube
from tracecube.recipes.science.speckle_learning import SpeckleParams
from tracecube.simulate.coronagraph import observe_star

GRID = StarCubeParams(size=121)
META = {"OBJECT": "star", "CRPIX1": 5.0}


def made(found: Surroundings) -> ResidualCube:
    return residual_cube(found, GRID, target=(10.0, -20.0), meta=META)[0]


def at(cube: ResidualCube, east: float, north: float) -> NDArray[np.float64]:
    """Values (n_wave,) at a place, arcsec."""
    middle = GRID.size // 2
    place = [[middle + north / GRID.pixel], [middle - east / GRID.pixel]]
    planes = np.nan_to_num(np.asarray(cube.data, float))
    return np.array([map_coordinates(plane, place, order=3)[0] for plane in planes])


def left_at(cube: ResidualCube, separation: float) -> NDArray[np.float64]:
    """Throughput (n_wave,) at a distance."""
    assert cube.throughput is not None
    return np.array([np.interp(separation, cube.separation, line) for line in cube.throughput.T])


@pytest.fixture(scope="module")
def found() -> Surroundings:
    return surroundings(brought_together(observe_star(SCENE, 1)), PARAMS)


@pytest.fixture(scope="module")
def cube(found: Surroundings) -> ResidualCube:
    return made(found)


def test_companions_stand_in_it_as_bright_as_they_are(cube: ResidualCube) -> None:
    middle = GRID.size // 2
    for east, north, truth in zip(SCENE.east, SCENE.north, SCENE.contrast, strict=True):
        share = left_at(cube, float(np.hypot(east, north)))
        assert (share < 0.8).all()  # the speckle model takes some
        told = share > 0.2
        scale = (cube.peak * share)[told]
        pixel = int(np.rint(middle + north / GRID.pixel)), int(np.rint(middle - east / GRID.pixel))
        weight = scale**2 / cube.variance[told, *pixel]
        ratio = np.average(at(cube, east, north)[told] / scale, weights=weight) / np.average(
            truth[told], weights=weight
        )
        error = weight.sum() ** -0.5 / truth.mean()
        assert error < 0.08
        assert ratio == pytest.approx(1.0, abs=3.0 * error)


def test_north_is_up_and_the_star_in_the_middle(cube: ResidualCube) -> None:
    image = np.nansum(cube.data / cube.variance, axis=0)
    y, x = np.mgrid[: GRID.size, : GRID.size] - GRID.size // 2
    for east, north in zip(SCENE.east, SCENE.north, strict=True):
        near = np.hypot(x + east / GRID.pixel, y - north / GRID.pixel) < 6.0
        brightest = np.argmax(np.where(near, image, -np.inf))
        assert np.hypot(x.flat[brightest] + east / GRID.pixel, y.flat[brightest] - north / GRID.pixel) < 1.5
    assert (cube.meta["CRPIX1"], cube.meta["CRVAL2"], cube.meta["CD1_2"]) == (61.0, -20.0, 0.0)
    assert cube.meta["CD1_1"] < 0.0 < cube.meta["CD2_2"]


def test_errors_hold_where_there_is_nothing() -> None:
    empty, numbers = residual_cube(
        surroundings(brought_together(observe_star(EMPTY, 21)), PARAMS), GRID, target=None, meta=META
    )
    y, x = (np.mgrid[: GRID.size, : GRID.size] - GRID.size // 2) * GRID.pixel
    ring = (np.hypot(x, y) > 0.14) & (np.hypot(x, y) < 0.4)
    pulls = (empty.data / np.sqrt(empty.variance))[:, ring]
    pulls = pulls[np.isfinite(pulls)]
    assert np.std(pulls) == pytest.approx(1.0, abs=0.08)
    assert {one.name: one.good for one in numbers}["RESIDUAL ERROR SCALE"]
    assert empty.meta["CTYPE1"] == "LINEAR"
    inner = np.hypot(x, y) < empty.separation[0] - GRID.pixel
    assert (empty.flags[:, inner] != 0).all()
    assert not (empty.flags[:, ring] & int(Flag.LOW_THROUGHPUT)).any()


def test_the_throughput_is_what_any_source_keeps(found: Surroundings, cube: ResidualCube) -> None:
    sequence, contrast = found.learnt.sequence, 1e-2  # outshines all
    for angle, separation in ((0.3, 0.21), (3.9, 0.33)):
        east, north = separation * np.sin(angle), separation * np.cos(angle)
        light = np.full((1, sequence.wave.size), contrast)
        image = sequence.image(np.array([east]), np.array([north]), light)
        image[sequence.weight <= 0] = 0.0
        alone = replace(found.learnt, residual=found.learnt.model.apply(image))
        seen = made(replace(found, learnt=alone, taken=()))
        share = at(seen, east, north) / (contrast * cube.peak)
        assert share == pytest.approx(left_at(cube, separation), abs=0.1)
        assert np.mean(share) == pytest.approx(np.mean(left_at(cube, separation)), rel=0.03)


def test_it_comes_back_from_its_file(cube: ResidualCube, tmp_path) -> None:
    write_product(tmp_path / "r.fits", cube)
    back = read_product(tmp_path / "r.fits", ResidualCube)
    assert np.array_equal(back.data, cube.data, equal_nan=True)
    assert np.array_equal(back.throughput, cube.throughput, equal_nan=True)
    assert np.array_equal(back.peak, cube.peak)


def test_where_nothing_is_taken_off_it_is_all_there() -> None:
    params = PARAMS.model_copy(update={"speckles": SpeckleParams(method="none", outer=0.45)})
    found = surroundings(brought_together(observe_star(SCENE, 1)), params)
    assert not found.companions
    assert (found.clean.sigma > 0.0).all()
    cube = made(found)
    assert cube.throughput == pytest.approx(1.0, abs=1e-3)
    east, north = SCENE.east[0], SCENE.north[0]
    assert np.mean(at(cube, east, north) / (cube.peak * SCENE.contrast[0])) > 1.0  # the halo is in it

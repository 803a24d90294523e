"""Cubes of exposures to one: mean, variance, outliers, slabs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.spectra import Cube, CubeOnDisk
from tracecube.recipes.cube import combine
from tracecube.recipes.cube.combine import combine_cubes
from tracecube.recipes.slices.filters import filter_image

SHAPE = (30, 12, 14)


def cube(seed: int, *, sigma: float = 1.0, level: float = 5.0) -> CubeOnDisk:
    rng = np.random.default_rng(seed)
    data = (level + rng.normal(0, sigma, SHAPE)).astype(np.float32)
    variance = np.full(SHAPE, sigma**2, np.float32)
    return on_disk(data, variance, np.zeros(SHAPE, np.int32))


def on_disk(data, variance, flags) -> CubeOnDisk:
    return CubeOnDisk(data.shape, lambda a, b: (data[a:b], variance[a:b], flags[a:b]), {})


@pytest.mark.parametrize("weights", [(1.0, 1.0), (600.0, 300.0)])
def test_mean_and_variance_of_two(weights):
    found = combine_cubes([cube(1), cube(2, sigma=2.0)], weights, clip=6.0)
    total = sum(weights)
    expected = (weights[0] ** 2 + 4 * weights[1] ** 2) / total**2
    assert found.variance == pytest.approx(expected)
    assert np.std((found.data - 5.0) / np.sqrt(found.variance)) == pytest.approx(1.0, abs=0.03)
    assert (found.exposures == 2).all()
    assert found.rejected == 0.0


def test_outliers_of_three_are_left_out_and_little_else():
    cubes = [cube(seed) for seed in (3, 4, 5)]
    data = cubes[1].planes(0, 30)[0].copy()
    data[7, 5, 5] += 60.0
    data[20, 3, 9] -= 60.0
    cubes[1] = on_disk(data, np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.int32))
    found = combine_cubes(cubes, [1.0] * 3, clip=6.0)
    assert found.data[7, 5, 5] == pytest.approx(5.0, abs=3.0)
    assert found.variance[7, 5, 5] == pytest.approx(0.5)
    assert found.rejected * 3 * np.prod(SHAPE) == pytest.approx(2, abs=0.1)
    assert np.std((found.data - 5.0) / np.sqrt(found.variance)) == pytest.approx(1.0, abs=0.03)


def test_of_two_pairs_far_apart_the_lower_one_stays():
    high = [cube(seed, level=200.0) for seed in (21, 22)]
    found = combine_cubes([high[0], cube(23), cube(24), high[1]], [1.0] * 4, clip=6.0)
    assert not found.flags.any()
    assert (found.exposures == 2).all()
    assert np.std((found.data - 5.0) / np.sqrt(found.variance)) == pytest.approx(1.0, abs=0.05)


def test_what_one_exposure_lacks_the_others_have():
    flags = np.zeros(SHAPE, np.int32)
    flags[:, :, :3] = int(Flag.NOT_MEASURED)
    data = np.where(flags == 0, 5.0, np.nan).astype(np.float32)
    part = on_disk(data, np.where(flags == 0, 1.0, np.nan).astype(np.float32), flags)
    found = combine_cubes([cube(6), part], [1.0, 1.0], clip=6.0)
    assert not found.flags.any()
    assert found.variance[0, 0, 0] == pytest.approx(1.0)
    assert found.exposures[0, 0] == 1
    alone = combine_cubes([part, part], [1.0, 1.0], clip=6.0)
    assert (alone.flags[:, :, :3] & int(Flag.NOT_MEASURED)).all()
    assert np.isnan(alone.data[:, :, :3]).all()


def test_slabs_make_no_difference(monkeypatch):
    cubes = [cube(seed) for seed in (7, 8, 9)]
    whole = combine_cubes(cubes, [1.0, 2.0, 3.0], clip=3.0)
    monkeypatch.setattr(combine, "_VOXELS", 3 * 12 * 14 * 4)
    parts = combine_cubes(cubes, [1.0, 2.0, 3.0], clip=3.0)
    assert np.array_equal(whole.data, parts.data)
    assert np.array_equal(whole.exposures, parts.exposures)


def test_cubes_of_unlike_grids_are_refused():
    with pytest.raises(BadData, match="shapes"):
        combine_cubes([cube(1), replace(cube(2), shape=(30, 12, 13))], [1.0, 1.0], clip=6.0)


def test_an_image_through_a_filter_is_the_weighted_mean_and_says_what_lies_outside():
    wave = 5000.0 + 10.0 * np.arange(30)
    data = np.broadcast_to((wave / 5000.0)[:, None, None], SHAPE).astype(np.float32)
    ones, flags = np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.int32)
    made = Cube(data, ones, flags, np.zeros((0, 3), int), np.zeros(0), {"CRVAL3": 1.0})
    image, share = filter_image(made, wave, np.array([5100.0, 5110.0, 5190.0, 5200.0]), np.array([0.0, 1.0, 1.0, 0.0]))
    assert share == pytest.approx(1.0)
    assert image.data == pytest.approx(5150.0 / 5000.0, rel=1e-3)
    assert image.variance == pytest.approx(1.0 / 9.0)
    assert "CRVAL3" not in image.meta
    _, less = filter_image(made, wave, np.array([4900.0, 5000.0, 5100.0]), np.array([1.0, 1.0, 1.0]))
    assert less == pytest.approx(0.5, abs=0.01)

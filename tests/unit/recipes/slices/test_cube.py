"""A cube from pixels of slices: slabs without seams, axes, white light."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS

from tests.unit.kernels.test_voxels import binned, detector
from tracecube.core.flags import Flag
from tracecube.kernels.weighted_voxels import Weighting
from tracecube.recipes.slices.cube import (
    Grid,
    Samples,
    binned_noise,
    build_cube,
    planes_at_once,
    slow_variance,
    spectral_factor,
    white_image,
)
from tracecube.recipes.slices.resampling import Sieve

SHAPE = (230, 16, 18)
GRID = Grid(wave0=4750.0, step=1.25, x0=-1.7, y0=-1.5, side=0.2, shape=SHAPE)


def source(samples):
    """What gives samples of a range of planes."""

    def between(low, high):
        found = []
        for one in samples:
            near = (one.place[:, 0] > low) & (one.place[:, 0] < high)
            found.append(Samples(one.place[near], one.value[near], one.weight[near], one.excess[near]))
        return found

    return between


def slope(place):
    return (0.05 * place[:, 1] + 0.02 * place[:, 0]).astype(np.float32)


@pytest.fixture(scope="module")
def made():
    """Two detectors, one of which sees the left of the field; noise 1."""
    rng = np.random.default_rng(1)
    place = detector(rng, SHAPE)
    left = place[:, 2] < 8.0
    samples = []
    for own in (left, ~left):
        value = 10.0 + rng.normal(0, 1, own.sum())
        samples.append(Samples(place[own], value.astype(np.float32), *[np.ones(own.sum(), np.float32)] * 2))
    return build_cube(source(samples), GRID, {"ESO DET OUT3": 1.0, "RDNOISE3": 2.5, **GRID.cards(10.0, -30.0)})


def test_all_voxels_of_the_field_are_measured_with_pulls_of_one(made):
    cube, share = made
    assert share > 0.99
    inner = cube.flags[12:-12, 3:-3, 3:-3]
    assert not inner.any()
    for n in (1, 3):
        data, variance = (one[12:-12, 3:-3, 3:-3] for one in (cube.data - 10.0, cube.variance))
        pull = binned(data, n) / np.sqrt(binned(variance, n))
        assert 0.97 < pull.std() < 1.03


def test_slabs_have_no_seam():
    rng = np.random.default_rng(2)
    place = detector(rng, SHAPE)
    value = slope(place)
    cube, _ = build_cube(source([Samples(place, value, *[np.ones(len(place), np.float32)] * 2)]), GRID, {}, planes=110)
    y, z = np.arange(3, 13), np.arange(190, 210)
    expected = 0.05 * y[None, :, None] + 0.02 * z[:, None, None]
    off = cube.data[190:210, 3:13, 4:14] - expected
    assert np.abs(off).max() < 0.01
    whole, _ = build_cube(source([Samples(place, value, *[np.ones(len(place), np.float32)] * 2)]), GRID, {})
    seams = np.abs(cube.data - whole.data)[:, 3:13, 4:14]  # ranges end at 110 and 220, slabs at 128
    assert seams[100:225].max() < 2e-3
    assert seams.max() < 5e-3


def test_bad_samples_and_empty_places():
    rng = np.random.default_rng(3)
    shape = (40, 12, 12)
    place = detector(rng, shape)
    place = place[place[:, 2] < 6.0]
    weight = np.ones(len(place), np.float32)
    value = np.ones(len(place), np.float32)
    value[::13], weight[::13] = 1e5, 0.0
    cube, _ = build_cube(
        source([Samples(place, value, weight, np.ones_like(weight))]), Grid(4750.0, 1.25, 0.0, 0.0, 0.2, shape), {}
    )
    inner = cube.data[10:-10, 2:-2, 1:5]
    assert np.isfinite(inner).mean() > 0.95  # a voxel whose only sample is bad is not measured
    assert np.nanmax(np.abs(inner - 1.0)) < 1e-3
    assert (cube.flags[:, :, 9:] == int(Flag.NOT_MEASURED)).all()
    assert np.isnan(cube.data[:, :, 9:]).all()


def test_axes_are_those_of_the_sky():
    wcs = WCS({key: value for key, value in GRID.cards(10.0, -30.0).items() if value is not None})
    (ra, dec, wave) = wcs.wcs_pix2world([[8.5, 7.5, 4.0]], 0)[0]  # the tangent point: 1.7 / 0.2, 1.5 / 0.2
    assert (ra, dec) == pytest.approx((10.0, -30.0), abs=1e-9)
    assert wave * 1e10 == pytest.approx(4755.0)
    west = wcs.wcs_pix2world([[9.5, 7.5, 0.0]], 0)[0]
    north = wcs.wcs_pix2world([[8.5, 8.5, 0.0]], 0)[0]
    assert (ra - west[0]) * 3600.0 * np.cos(np.radians(30.0)) == pytest.approx(0.2, rel=1e-4)
    assert (north[1] - dec) * 3600.0 == pytest.approx(0.2, rel=1e-4)


def test_white_light_is_the_mean_of_its_band_and_keeps_all_cards_but_the_third_axis(made):
    cube, _ = made
    wave = GRID.wave0 + GRID.step * np.arange(SHAPE[0])
    image = white_image(cube, wave, (4790.0, 4990.0))
    planes = (wave >= 4790.0) & (wave <= 4990.0)
    assert np.allclose(image.data[5:10, 5:10], cube.data[planes].mean(axis=0)[5:10, 5:10], atol=1e-4)
    pull = (image.data - 10.0)[3:-3, 3:-3] / np.sqrt(image.variance)[3:-3, 3:-3]
    assert 0.8 < pull.std() < 1.2
    assert image.meta["RDNOISE3"] == 2.5
    assert image.meta["ESO DET OUT3"] == 1.0
    assert "CTYPE1" in image.meta
    assert not [key for key in image.meta if key in {"CTYPE3", "CRVAL3", "CD3_3", "CD1_3", "CD3_1", "CUNIT3", "CRPIX3"}]


def test_planes_at_once_hold_few_samples_but_not_few_planes():
    grid = Grid(wave0=4750.0, step=1.25, x0=0.0, y0=0.0, side=0.2, shape=(3600, 300, 300))
    assert planes_at_once(grid, 1e6) == 3600
    assert planes_at_once(grid, 42e6) == 515
    assert planes_at_once(grid, 336e6) == 160


def test_a_variance_that_does_not_follow_lines():
    y = np.arange(200.0)[:, None]
    line = np.exp(-0.5 * ((y - 100.0) / 1.2) ** 2)
    variance, good = (25.0 + 0.05 * y + 400.0 * line) * np.ones((200, 5)), np.ones((200, 5), bool)
    variance[50, 2], good[50, 2] = np.inf, False
    found = slow_variance(variance, good)
    assert np.isinf(found[50, 2])
    quiet = (np.abs(y[:, 0] - 100.0) > 12.0) & (np.abs(y[:, 0] - 99.5) < 92.0)
    assert np.abs(found[quiet][:, [0, 1, 3, 4]] / (25.0 + 0.05 * y[quiet]) - 1.0).max() < 0.02
    assert np.ptp(found[94:106, 0]) < 0.2 * found[100, 0]


@pytest.mark.parametrize("method", ["drizzle", "renka"])
def test_weighted_means_tell_how_voxels_correlate(method):
    rng = np.random.default_rng(7)
    place = detector(rng, SHAPE)
    samples = source(
        [Samples(place, rng.normal(5, 1, len(place)).astype(np.float32), *[np.ones(len(place), np.float32)] * 2)]
    )
    cube, share = build_cube(samples, GRID, {}, planes=120, weighting=Weighting(method))
    assert share > 0.99
    assert cube.covariance_offset.shape[1] == 3
    near = dict(zip(map(tuple, cube.covariance_offset.tolist()), cube.covariance_value, strict=True))
    assert 0.02 < near[0, 0, 1] < 0.9
    assert spectral_factor(cube) > 1.02
    pull = (cube.data - 5.0) / np.sqrt(cube.variance)
    assert np.nanstd(pull) == pytest.approx(1.0, abs=0.02)
    off, variance = (cube.data - 5.0)[:, 3:-3, 3:-3], cube.variance[:, 3:-3, 3:-3]
    both = 0.5 * np.nanmean(variance[:, :, 1:] + variance[:, :, :-1])
    assert np.nanmean(off[:, :, 1:] * off[:, :, :-1]) / both == pytest.approx(near[0, 0, 1], abs=0.02)
    assert np.nanmean(pull[1:] * pull[:-1]) == pytest.approx(near[1, 0, 0], abs=0.02)
    wave = GRID.wave0 + GRID.step * np.arange(SHAPE[0])
    white = white_image(cube, wave, (4760.0, 5030.0))
    assert ((white.data - 5.0) / np.sqrt(white.variance))[3:-3, 3:-3].std() == pytest.approx(1.0, abs=0.2)
    whole, _ = build_cube(samples, GRID, {}, weighting=Weighting(method))
    assert whole.data == pytest.approx(cube.data, rel=1e-3, nan_ok=True)  # places are of single precision


@pytest.mark.parametrize("weighting", [None, Weighting("drizzle")])
def test_samples_that_stand_out_are_held_back_and_each_counted_once(weighting):
    rng = np.random.default_rng(8)
    place = detector(rng, SHAPE)
    value, one = rng.normal(5, 1, len(place)).astype(np.float32), np.ones(len(place), np.float32)
    inside = np.flatnonzero(((place > 4) & (place < np.array(SHAPE) - 4)).all(axis=1))
    hit = inside[:: inside.size // 40]
    value[hit] += 200.0
    sieve = Sieve("median", 15.0)
    cube, _ = build_cube(
        source([Samples(place, value, one, one)]), GRID, {}, planes=110, weighting=weighting, sieve=sieve
    )
    assert sieve.caught == hit.size  # slabs overlap, ranges too
    inner = (cube.data - 5.0)[5:-5, 3:-3, 3:-3] / np.sqrt(cube.variance[5:-5, 3:-3, 3:-3])
    assert np.nanmax(inner) < 7.0


def test_factors_of_bins_are_quality_numbers():
    rng = np.random.default_rng(9)
    place = detector(rng, SHAPE)
    samples = source([Samples(place, *[np.ones(len(place), np.float32)] * 3)])
    plain, _ = build_cube(samples, GRID, {})
    means, _ = build_cube(samples, GRID, {}, weighting=Weighting("linear"))
    assert [(one.name, one.value) for one in binned_noise(plain)] == [("NOISE 3X3", 1.0), ("NOISE 5X5", 1.0)]
    three, five = (one.value for one in binned_noise(means))
    assert 1.5 < three < five < 3.0

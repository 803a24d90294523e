"""Two images of one field: place, flux, background and seeing, with errors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.align.drawn_field import exposure
from tracecube.kernels.masked_correlation import correlation
from tracecube.kernels.registration import fit_shift, prepare

STARS = ((80.0, 20.0, 3000.0), (150.0, 26.0, 2500.0), (222.0, 24.0, 1500.0))
TRUE = (0.37, -1.21)


def fitted(seed: int, *, stars=STARS, flux=0.9, fwhm=(4.0, 4.0), start=(0.3, -1.0)):
    images = [
        exposure(seed, stars, fwhm=fwhm[0]),
        exposure(seed + 1000, stars, offset=TRUE, flux=flux, background=0.3, fwhm=fwhm[1]),
    ]
    ready = [prepare(np.nan_to_num(one.data), one.variance, one.flags == 0) for one in images]
    y, x = np.mgrid[: ready[0].known.shape[0], : ready[0].known.shape[1]].astype(float)
    use = np.zeros(y.shape, bool)
    for column, row, _ in stars:
        use |= np.hypot(y - row, x - column) < 8
    return fit_shift(ready[0], ready[1], (y, x), use, np.array(start))


def test_pulls_of_place_and_flux_are_one():
    fits = [fitted(seed) for seed in range(60)]
    value = np.array([one.value for one in fits])
    error = np.sqrt([np.diag(one.of_first + one.of_second) for one in fits])
    assert all(one.converged for one in fits)
    assert np.abs(np.median(value[:, :3], axis=0) - (*TRUE, 0.9)).max() < 0.01
    pull = ((value - (*TRUE, 0.9, 0.0, 0.3)) / error)[:, :3]
    both = np.sqrt(np.mean(pull[:, :2] ** 2))
    assert 0.85 < both < 1.15  # 120 values: 0.065


def test_flux_holds_though_the_seeing_changed():
    fits = [fitted(seed, stars=[(x, y, 10 * f) for x, y, f in STARS], fwhm=(4.0, 4.3)) for seed in range(3)]
    value = np.mean([one.value for one in fits], axis=0)
    assert value[2] == pytest.approx(0.9, rel=0.01)
    assert value[3] > 0.15
    assert np.hypot(*(value[:2] - TRUE)) < 0.01


def test_nothing_in_common_is_said():
    found = fitted(1, stars=STARS, start=(30.0, 290.0))
    assert not found.converged


def test_correlation_finds_whole_pixels_and_counts_the_overlap():
    rng = np.random.default_rng(3)
    scene = rng.normal(0, 1, (60, 80))
    one, other = np.zeros((60, 80)), np.zeros((60, 80))
    one[5:50, 10:70], other[8:53, 3:63] = scene[5:50, 10:70], scene[5:50, 10:70]
    coefficient, pixels = correlation(one, other, reach=12)
    at = np.unravel_index(int(np.argmax(coefficient)), coefficient.shape)
    assert (at[0] - 12, at[1] - 12) == (3, -7)
    assert coefficient[at] == pytest.approx(1.0)
    assert pixels[at] == pytest.approx(45 * 60)

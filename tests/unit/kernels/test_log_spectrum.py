from __future__ import annotations

import numpy as np
import pytest

from tracecube.kernels.log_spectrum import BINS, HIGH, LOW, STEP, flatten, grid, splines, to_grid

WAVE = 3700.0 + 25.57 * np.arange(220)


def test_a_redshift_is_a_shift() -> None:
    assert grid()[0] == pytest.approx(LOW * np.exp(STEP / 2))
    assert grid()[-1] == pytest.approx(HIGH * np.exp(-STEP / 2))
    np.testing.assert_allclose(grid()[37:] / grid()[:-37], np.exp(37 * STEP))


@pytest.mark.parametrize("step", [25.57, 3.0])
def test_a_straight_line_stays_itself_whatever_the_sampling(step: float) -> None:
    wave = np.arange(3700.0, 9300.0, step)
    flux, variance = to_grid(wave, wave / 5000.0, np.full(wave.size, 0.01))
    known = np.isfinite(variance)
    np.testing.assert_allclose(flux[known][2:-2], grid()[known][2:-2] / 5000.0, rtol=1e-4)
    assert not flux[~known].any()
    assert grid()[known].min() == pytest.approx(3700.0, abs=15.0)
    assert grid()[known].max() == pytest.approx(9300.0, abs=40.0)


@pytest.mark.parametrize("step", [25.57, 3.0])
def test_bins_know_as_much_as_samples(step: float) -> None:
    wave = np.arange(3700.0, 9300.0, step)
    _, variance = to_grid(wave, np.ones(wave.size), np.full(wave.size, 0.01))
    assert (1.0 / variance).sum() == pytest.approx(wave.size / 0.01, rel=0.02)


def test_smoothing_widens_a_line_and_keeps_its_light() -> None:
    wave = np.arange(4000.0, 8000.0, 2.0)
    line = 1.0 + np.exp(-0.5 * ((wave - 6000.0) / 10.0) ** 2)
    sharp, _ = to_grid(wave, line, np.ones(wave.size))
    wide, _ = to_grid(wave, line, np.ones(wave.size), smooth=0.005)
    near = np.abs(grid() - 6000.0) < 200.0
    assert wide[near].max() < sharp[near].max() - 0.3
    assert (wide[near] - 1.0).sum() == pytest.approx((sharp[near] - 1.0).sum(), rel=0.02)


def test_gaps_are_not_measured() -> None:
    kept = (WAVE < 5000.0) | (WAVE > 5600.0)
    _, variance = to_grid(WAVE[kept], np.ones(kept.sum()), np.ones(kept.sum()))
    assert np.isinf(variance[(grid() > 5100.0) & (grid() < 5500.0)]).all()


def test_the_continuum_goes_and_features_stay() -> None:
    feature = -0.4 * np.exp(-0.5 * ((WAVE - 6150.0) / 60.0) ** 2)
    smooth = 3e-16 * (WAVE / 5000.0) ** -1.5
    flat = flatten(*to_grid(WAVE, smooth * (1 + feature), (0.02 * smooth) ** 2), 3800.0, 9200.0)
    told = flat.value - flat.basis @ np.linalg.lstsq(flat.basis[flat.used], flat.value[flat.used], rcond=None)[0]
    at = np.argmin(np.where(flat.used, told, 0.0))
    assert grid()[at] == pytest.approx(6150.0, abs=15.0)
    assert told[at] == pytest.approx(-0.3, abs=0.07)
    assert np.sqrt(flat.variance[flat.used]) == pytest.approx(0.02 * np.sqrt(25.57 / grid()[flat.used] / STEP), rel=0.2)


def test_brightness_does_not_matter() -> None:
    flux = 1.0 + 0.3 * np.sin(WAVE / 90.0)
    one = flatten(*to_grid(WAVE, flux, 0.01 * flux), 3800.0, 9200.0)
    two = flatten(*to_grid(WAVE, 7.0 * flux, 0.49 * flux), 3800.0, 9200.0)
    np.testing.assert_allclose(one.value, two.value, atol=1e-9)


def test_splines_sum_to_one_inside_and_to_nothing_outside() -> None:
    basis = splines(4000.0, 8000.0)
    inside = (grid() >= 4000.0) & (grid() <= 8000.0)
    np.testing.assert_allclose(basis[inside].sum(1), 1.0)
    assert not basis[~inside].any()
    assert basis.shape[0] == BINS


def test_flux_beside_a_gap_of_fine_samples_is_what_it_was():
    wave = np.exp(np.log(5000.0) + STEP / 6 * np.concatenate([np.arange(200), 260 + np.arange(200)]))
    flux, variance = to_grid(wave, np.ones(wave.size), np.ones(wave.size))
    known = np.isfinite(variance)
    inner = known & (grid() > wave[6]) & (grid() < wave[-7])
    np.testing.assert_allclose(flux[inner], 1.0, atol=1e-9)

"""Response and bands of the atmosphere from a star's light relative to the lamp."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.slice_detector import SliceDetector, expose
from tracecube.core.errors import NoConvergence
from tracecube.core.flags import Flag
from tracecube.recipes.slices.lamp import lamp_spectrum
from tracecube.recipes.slices.response import TELLURIC, outside, smooth_response, transmission

WAVE = np.arange(4656.25, 9350.0, 12.5)
AIRMASS = 1.3


def curve(wave):
    return 2e15 * np.exp(-0.5 * ((wave - 6800.0) / 1500.0) ** 2) * (1.0 + 0.05 * np.sin(wave / 400.0))


def bands(wave):
    """Absorption at airmass 1: a comb within the bands of oxygen and water."""
    comb = 0.6 + 0.35 * np.sin(wave / 7.0)
    return np.where(outside(wave, TELLURIC), 1.0, comb)


def measured(rng, wave=WAVE, noise=0.004):
    clean = curve(wave) * bands(wave) ** AIRMASS
    return clean * (1.0 + rng.normal(0, noise, wave.size)), (noise * clean) ** 2


def test_the_curve_is_that_without_the_bands():
    value, variance = measured(np.random.default_rng(1))
    found = smooth_response(WAVE, value, variance)
    inside = np.isfinite(found.value) & (WAVE > 4700) & (WAVE < 8900)
    off = found.value[inside] / curve(WAVE[inside]) - 1.0
    assert np.std(off) < 0.003
    assert np.abs(off).max() < 0.012
    assert not found.used[~outside(WAVE, TELLURIC)].any()


def test_errors_of_the_curve_have_pulls_of_about_one():
    pulls = []
    for seed in range(12):
        value, variance = measured(np.random.default_rng(seed))
        found = smooth_response(WAVE, value, variance)
        at = np.searchsorted(WAVE, [5200.0, 5700.0, 6150.0, 7000.0, 7450.0, 7900.0, 8600.0])
        pulls.append((found.value - curve(WAVE))[at] / found.error[at])
    assert 0.7 < np.std(pulls) < 1.3


def test_stellar_lines_and_wild_samples_move_nothing():
    value, variance = measured(np.random.default_rng(2))
    clean = smooth_response(WAVE, value, variance)
    spoiled = value * np.where((WAVE > 6545) & (WAVE < 6582), 0.6, 1.0)
    spoiled[100], spoiled[200], spoiled[300] = np.nan, 3 * spoiled[200], -1.0
    found = smooth_response(WAVE, spoiled, variance)
    assert np.nanmax(np.abs(found.value / clean.value - 1.0)) < 0.004
    assert not found.used[[100, 200, 300]].any()


def test_transmission_at_airmass_1_has_pulls_of_one():
    fine = np.arange(4650.6, 9350.0, 1.25)
    rng = np.random.default_rng(3)
    clean = curve(fine) * bands(fine) ** AIRMASS
    value = clean + rng.normal(0, 0.01 * curve(fine))
    found, error = transmission(fine, value, (0.01 * curve(fine)) ** 2, curve(fine), AIRMASS)
    out = outside(fine, TELLURIC)
    assert np.all(found[out] == 1.0)
    assert np.all(error[out] == 0.0)
    pulls = (found - bands(fine))[~out] / error[~out]
    assert abs(pulls.std() - 1.0) < 0.1
    assert abs(pulls.mean()) < 0.2


def test_where_nothing_was_measured_nothing_is_absorbed():
    fine = np.array([7600.0, 7650.0])
    found, error = transmission(fine, np.array([np.nan, 1.0]), np.ones(2), np.array([2.0, np.nan]), AIRMASS)
    assert found.tolist() == [1.0, 1.0]
    assert error.tolist() == [0.0, 0.0]


def test_the_spectrum_of_the_lamp_is_the_typical_slice_s():
    field = SliceDetector(count=3)
    level = np.array([0.9, 1.0, 1.2])

    def lamp(wave):
        return 4000.0 + 2.0 * (wave - 7000.0) * 0.5

    clean = field.each(lambda row, wave, _x: level[row] * lamp(wave))
    flat = expose(clean, np.random.default_rng(4))
    flat.flags[2000:2010] = int(Flag.BAD_PIXEL)  # whole rows
    wave, light = lamp_spectrum(flat, field.traces, field.solution)
    speed = np.gradient(field.solution.wave(1, np.arange(field.rows, dtype=float), np.zeros(field.rows)))
    at = field.solution.wave(1, np.arange(field.rows, dtype=float), np.zeros(field.rows))
    expected = lamp(wave) / np.interp(wave, at, speed)
    assert wave.size > 400
    assert np.abs(light / expected - 1.0).max() < 0.02


def test_a_spectrum_without_light_is_an_error_in_words():
    nothing = np.full(WAVE.size, np.nan)
    with pytest.raises(NoConvergence, match="0 bins of the spectrum hold light of the star"):
        smooth_response(WAVE, nothing, nothing)


def test_too_few_bins_that_follow_a_curve_are_an_error_in_words():
    value, variance = measured(np.random.default_rng(4))
    usable = np.flatnonzero(smooth_response(WAVE, value, variance).used)
    few = usable[:: usable.size // 41][:41]
    some = np.zeros(WAVE.size, bool)
    some[few] = True
    assert smooth_response(WAVE, value, np.where(some, variance, 0.0)).used.sum() >= 40
    value[few[[5, 11]]] *= 3.0
    with pytest.raises(NoConvergence, match="follow a smooth curve"):
        smooth_response(WAVE, value, np.where(some, variance, 0.0))


def test_beyond_the_last_sample_the_response_goes_on_straight_and_the_band_is_what_is_left():
    """From 8925 Angstrom on water covers all: its depth must not go into the response, nor be lost."""
    wave = np.arange(4700.0, 9350.0, 12.5)
    true = np.exp(-(((wave - 7000.0) / 3500.0) ** 2))
    water = np.where(wave > 8925.0, 0.8, 1.0)
    rng = np.random.default_rng(4)
    measured = true * water * (1.0 + rng.normal(0.0, 1e-3, wave.size))
    curve = smooth_response(wave, measured, (1e-3 * measured) ** 2)
    red = wave > 8925.0
    assert np.all(np.isfinite(curve.value))
    assert np.all(np.abs(curve.value - true)[red] < 3.0 * curve.error[red])
    assert curve.value[red] == pytest.approx(true[red], rel=0.05)
    assert curve.error[-1] > 3.0 * curve.error[wave < 8900.0].max() / curve.value[wave < 8900.0].max()
    bands, _ = transmission(wave, measured, (1e-3 * measured) ** 2, curve.value, 1.0)
    assert bands[red] == pytest.approx(0.8, rel=0.05)
    assert bands * curve.value == pytest.approx(measured, rel=0.02)  # a star at the same airmass comes out right


def test_a_bend_of_the_response_is_followed_and_noise_is_not():
    bent = np.exp(-0.0005 * np.maximum(5000.0 - WAVE, 0.0))
    value, variance = measured(np.random.default_rng(4), noise=0.001)
    found = smooth_response(WAVE, value * bent, variance * bent**2)
    near = (WAVE > 4850) & (WAVE < 5200)
    assert np.abs(found.value / (curve(WAVE) * bent) - 1.0)[near].max() < 0.009
    value, variance = measured(np.random.default_rng(5), noise=0.01)
    rough = smooth_response(WAVE, value, variance)
    assert np.std(rough.value[near] / curve(WAVE)[near]) < 0.004


def test_the_curve_goes_on_at_its_end_without_a_step():
    value, variance = measured(np.random.default_rng(6), noise=0.001)
    found = smooth_response(WAVE, value, variance)
    last = int(np.flatnonzero(found.used)[-1])
    assert abs(found.value[last + 1] / found.value[last] - curve(WAVE[last + 1]) / curve(WAVE[last])) < 0.003


def test_errors_are_wider_in_gaps_than_beside_them_and_pulls_there_are_of_about_one():
    pulls, ratio = [], []
    at = np.searchsorted(WAVE, [6531.25, 7256.25, 8231.25])  # middles of what is left out
    beside = np.searchsorted(WAVE, [5731.25, 7456.25, 7956.25])
    for seed in range(12):
        value, variance = measured(np.random.default_rng(seed), noise=0.001)
        found = smooth_response(WAVE, value, variance)
        pulls.append((found.value / curve(WAVE) - 1.0)[at] / (found.error / found.value)[at])
        ratio.append(np.mean((found.error / found.value)[at]) / np.mean((found.error / found.value)[beside]))
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.6
    assert np.mean(ratio) > 1.2


def test_a_narrow_line_of_the_star_is_left_out():
    value, variance = measured(np.random.default_rng(8), noise=0.001)
    line = 1.0 - 0.03 * np.exp(-0.5 * ((WAVE - 5411.0) / 8.0) ** 2)
    found = smooth_response(WAVE, value * line, variance)
    near = np.abs(WAVE - 5411.0) < 100.0
    assert np.abs(found.value / curve(WAVE) - 1.0)[near].max() < 0.003
    assert not found.used[np.abs(WAVE - 5411.0) < 6.0].any()


def test_a_sharp_bend_is_no_line_however_little_it_is_followed_at_first():
    bent = np.exp(-0.0012 * np.abs(WAVE - 7040.0))
    value, variance = measured(np.random.default_rng(10), noise=0.0007)
    found = smooth_response(WAVE, value * bent, variance * bent**2)
    near = (np.abs(WAVE - 7040.0) < 75.0) & outside(WAVE, TELLURIC)
    assert found.used[near].mean() > 0.9
    assert np.abs(found.value / (curve(WAVE) * bent) - 1.0)[near].max() < 0.006


def test_the_same_samples_make_the_same_curve():
    value, variance = measured(np.random.default_rng(9))
    one, other = (smooth_response(WAVE, value, variance) for _ in range(2))
    assert np.array_equal(one.value, other.value)
    assert np.array_equal(one.error, other.error)


def test_bands_that_are_told_besides_are_bands():
    fine = np.arange(4650.6, 9350.0, 1.25)
    dark = np.where((fine > 5700.0) & (fine < 5760.0), 0.8, 1.0)
    value = curve(fine) * bands(fine) ** AIRMASS * dark**AIRMASS
    more = (*TELLURIC, (5700.0, 5760.0))
    found, _ = transmission(fine, value, (0.001 * value) ** 2, curve(fine), AIRMASS, bands=more)
    assert found == pytest.approx(bands(fine) * dark, rel=1e-6)
    assert transmission(fine, value, (0.001 * value) ** 2, curve(fine), AIRMASS)[0][fine < 6000.0].min() == 1.0
    coarse = smooth_response(WAVE, *measured(np.random.default_rng(1)), bands=more)
    assert not coarse.used[(WAVE > 5700.0) & (WAVE < 5760.0)].any()

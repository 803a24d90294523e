"""Noise of the line filter measured on the data: where it is as expected, where one row or all are noisier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.fibre_bundle import REFRACTION, SEEING, SLOT, Bundle, Source
from tracecube.recipes.science.fibre_field import gather
from tracecube.recipes.science.fibre_lines import FibreLinesParams, find_lines
from tracecube.recipes.science.line_filter import filter_lines, fit_continuum
from tracecube.recipes.science.line_noise import _quantiles, apply_row_noise, half_width, row_noise

SMALL = Bundle(rows=9, wave=(4000.0, 4700.0, 350))
PARAMS = FibreLinesParams(wave_range=(4020.0, 4680.0))
STEP = 60.0


def filtered(exposures):
    field = gather(exposures, SLOT)
    continuum = fit_continuum(field, STEP)
    return field, continuum, filter_lines(field, continuum, np.arange(4020.0, 4681.0, 2.0), 1.3)


def search(exposures):
    lines, quality = find_lines(exposures, SEEING, REFRACTION, PARAMS, ifuslot=SLOT)
    return lines, {one.name: one.value for one in quality}


def test_a_row_that_is_noisier_gets_its_own_factor_and_no_other_does():
    exposures = SMALL.draw(2)
    flux = exposures[0].flux.copy()
    flux[40] *= 3.0
    field, continuum, found = filtered([replace(exposures[0], flux=flux), *exposures[1:]])
    noise = row_noise(found, STEP)
    assert np.mean(noise.factor[40]) == pytest.approx(3.0, rel=0.25)
    others = np.delete(noise.factor, 40, axis=0)
    assert np.mean(others > 1.0) < 0.02
    _, _, scaled = apply_row_noise(field, continuum, found, noise)
    assert half_width(scaled.score[40] / np.sqrt(scaled.power[40])) == pytest.approx(1.0, abs=0.3)
    np.testing.assert_array_equal(scaled.score[41], found.score[41] / noise.factor[41] ** 2)


def test_a_bright_line_is_no_noise():
    bright = Source(1.0, 2.0, 4350.0, 3e-15, 1.3)
    _, _, found = filtered(replace(SMALL, sources=[bright]).draw(3))
    assert row_noise(found, STEP).share < 0.05


def test_errors_that_are_too_small_are_found_and_never_made_smaller():
    exposures = SMALL.draw(4)
    low = [replace(one, variance=one.variance / 1.3**2) for one in exposures]
    high = [replace(one, variance=one.variance * 1.3**2) for one in exposures]
    right, under, over = (search(one)[1] for one in (exposures, low, high))
    assert right["LINES SN SIGMA"] == pytest.approx(1.0, abs=0.03)
    assert right["LINES NOISE SCALE"] == pytest.approx(1.0, abs=0.03)
    assert under["LINES SN SIGMA"] == pytest.approx(1.3, abs=0.05)
    assert under["LINES NOISE SCALE"] == pytest.approx(1.3, abs=0.05)
    assert over["LINES SN SIGMA"] == pytest.approx(1.0 / 1.3, abs=0.03)
    assert over["LINES NOISE SCALE"] == 1.0


def test_a_pattern_common_to_all_fibres_makes_no_more_false_lines_than_are_expected():
    made, expected = 0, 0.0
    for seed in range(4):
        exposures = []
        for one in SMALL.draw(seed):
            ripple = 0.6e-18 * np.sin(2.0 * np.pi * 0.1318 * np.arange(one.flux.shape[1]) + seed + one.exp[0])
            exposures.append(replace(one, flux=one.flux + ripple))
        lines, quality = search(exposures)
        made += len(lines.sn)
        expected += quality["LINES FALSE EXPECTED"]
        assert quality["LINES NOISE SCALE"] > 1.1
    # 4 fields hold some 3 false lines; without the measured noise there would be dozens.
    assert made <= expected + 3.0 * np.sqrt(max(expected, 1.0)) + 1.0


def test_light_common_to_all_fibres_is_continuum():
    shifted = [replace(one, flux=one.flux + 0.1e-18) for one in SMALL.draw(5)]
    plain, lit = (search(one)[1] for one in (SMALL.draw(5), shifted))
    assert lit["LINES SN SIGMA"] == pytest.approx(plain["LINES SN SIGMA"], abs=0.01)


def test_quantiles_of_rows_are_those_of_numpy():
    values = np.random.default_rng(1).normal(size=(20, 51))
    values[values > 1.2] = np.nan
    for made, share in zip(_quantiles(values, (0.16, 0.5)), (0.16, 0.5), strict=True):
        np.testing.assert_allclose(made, np.nanquantile(values, share, axis=1), rtol=1e-12)

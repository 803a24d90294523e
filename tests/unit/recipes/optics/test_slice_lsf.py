"""Line-spread function of slices: any shape, with its error."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit

from tests.unit.recipes.optics.test_slice_wavelength import apart
from tests.unit.recipes.slice_detector import SliceDetector, expose, gaussian
from tracecube.core.flags import Flag
from tracecube.recipes.optics.slice_lines import LampLines
from tracecube.recipes.optics.slice_lsf import LsfParams, measure_lsf

FIELD = SliceDetector(count=2)


def lopsided(offset):
    """A line with a wing to the red, the centre of its Gaussian of least squares at 0."""
    at = offset + SHIFT
    return 0.85 * gaussian(at, 1.05) + 0.15 * gaussian(at - 1.2, 1.5)


def fitted_centre(profile):
    """Where the Gaussian of least squares lies, by samples of half an Angstrom."""
    x = np.arange(-7.5, 7.6, 0.5)
    best, _ = curve_fit(
        lambda v, c, s, a, g: a * np.exp(-0.5 * ((v - c) / s) ** 2) + g, x, profile(x), [0.1, 1.1, 0.3, 0]
    )
    return best[0]


SHIFT = 0.0
SHIFT = fitted_centre(lopsided)


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(1)
    wave = apart(rng, 60, least=20.0)
    lines = [LampLines(0, wave, np.ones(wave.size), np.ones(wave.size, bool))]
    strength = 10 ** rng.uniform(4.0, 4.8, wave.size)
    frame = expose(FIELD.lines(wave, strength, lopsided), rng)
    flat = expose(2e5 * FIELD.light(slope=0.0), rng)
    traces = replace(FIELD.traces, dq=np.zeros(2, np.int32))
    return measure_lsf({0: frame}, flat, traces, FIELD.solution, lines, LsfParams())


def test_the_shape_is_found_within_its_errors(found):
    lsf, _ = found
    offset = lsf.offset[0]
    assert not lsf.dq.any()
    inner = np.abs(offset) < 3.0
    off = (lsf.density - lopsided(offset))[:, 4:-4, inner]
    assert np.sqrt(np.mean(off**2)) < 5e-4 * lopsided(np.zeros(1))[0]
    pulls = off / lsf.error[:, 4:-4, inner]
    assert 0.88 < np.sqrt(np.mean(pulls**2)) < 1.12
    assert np.abs(lsf.density[:, :, np.abs(offset) > 6.5].mean(axis=2)).max() < 1e-6  # the ends are the zero


def test_integral_centre_and_width(found):
    lsf, rms = found
    offset = lsf.offset[0]
    assert np.allclose(lsf.density.sum(axis=2) * (offset[1] - offset[0]), 1.0, atol=1e-5)
    fine = np.linspace(-5, 5, 100001)
    half = fine[lopsided(fine) > 0.5 * lopsided(fine).max()]
    assert np.abs(lsf.fwhm - (half[-1] - half[0])).max() < 0.03
    for row in range(2):
        at = fitted_centre(lambda v, row=row: np.interp(v, offset, lsf.density[row, 15]))
        assert abs(at) < 0.005
    assert np.all(rms < 0.05)


def test_a_slice_with_few_lines_is_flagged():
    rng = np.random.default_rng(2)
    wave = np.linspace(5000.0, 9000.0, 5)
    lines = [LampLines(0, wave, np.ones(5), np.ones(5, bool))]
    frame = expose(FIELD.lines(wave, np.full(5, 1e4)), rng)
    flat = expose(2e5 * FIELD.light(slope=0.0), rng)
    lsf, rms = measure_lsf({0: frame}, flat, FIELD.traces, FIELD.solution, lines, LsfParams())
    assert (lsf.dq == int(Flag.NOT_MEASURED)).all()
    assert np.isnan(lsf.fwhm).all()
    assert np.isnan(rms).all()

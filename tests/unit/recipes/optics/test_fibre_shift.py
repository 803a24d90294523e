"""Shift of an exposure along dispersion from lines of the sky, against what was put in."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import NoConvergence
from tracecube.kernels.lines import line_image
from tracecube.recipes.optics.fibre_lines import FibreArc
from tracecube.recipes.optics.fibre_shift import ExposureShift, exposure_shift

LINES = (4046.565, 4358.335, 5460.750)
STRENGTH = (60.0, 400.0, 1500.0)  # electrons a fibre, on a sky of 100: none shows the first by itself
N, M, WIDTH = 60, 1032, 1.15
U = 2.0 * np.arange(M) / (M - 1.0) - 1.0
WAVE = 4505.0 + 1035.0 * U + 8.0 * U**2 + 2.0 * np.linspace(-1.0, 1.0, N)[:, None] ** 2


def sky(shift: float, seed: int, strength: tuple[float, ...] = STRENGTH, noise: float = 1.0) -> FibreArc:
    """Spectra whose light lies ``shift`` px redward of the arcs'."""
    rng = np.random.default_rng(seed)
    through = rng.uniform(0.8, 1.2, (N, 1))
    x = np.array([np.interp(LINES, row, np.arange(M)) for row in WAVE]) + shift
    light = line_image(x, np.full(x.shape, WIDTH), through * np.array(strength), np.zeros(N, np.int64), M)
    light = light + 100.0 * through * (1.0 + 0.1 * U)
    variance = light + 60.0
    flux = light + noise * np.sqrt(variance) * rng.normal(size=light.shape)
    return FibreArc(flux, variance, np.zeros((N, M), np.int32))


def measured(one: FibreArc, wave: np.ndarray = WAVE) -> ExposureShift:
    return exposure_shift(one, wave, np.full((N, M), WIDTH), LINES, wave_error=np.zeros((N, M)))


@pytest.mark.parametrize("shift", [0.05, -0.2, 0.35, 0.6])
def test_drifts_of_a_night_are_found_within_their_errors(shift: float) -> None:
    found = [measured(sky(shift, seed)) for seed in range(30)]
    off = np.array([one.pixels - shift for one in found])
    assert np.median([one.error for one in found]) < 0.01  # 0.02 Angstrom
    assert abs(off.mean()) < 4.0 * np.mean([one.error for one in found]) / np.sqrt(len(found))
    assert np.abs(off).max() < 0.02


def test_errors_are_those_of_the_noise() -> None:
    one_line = [exposure_shift(sky(0.1, seed), WAVE, np.full((N, M), WIDTH), LINES[1:2], wave_error=np.zeros((N, M)))
                for seed in range(400)]  # fmt: skip
    pulls = np.array([(one.pixels - 0.1) / one.error for one in one_line])
    assert pulls.std() == pytest.approx(1.0, abs=0.09)  # 400 draws tell it to 0.035
    assert abs(pulls.mean()) < 0.15
    assert all(np.isnan(one.chi2) for one in one_line)


def test_wavelengths_follow_the_light_to_the_error_of_the_arcs() -> None:
    found = measured(sky(0.4, 1, noise=0.0))
    assert found.pixels == pytest.approx(0.4, abs=1e-3)
    column = np.arange(M)
    expected = np.array([np.interp(column - 0.4, column, row) for row in WAVE])
    assert found(WAVE)[:, 2:] == pytest.approx(expected[:, 2:], abs=0.01)
    off = exposure_shift(sky(0.4, 1), WAVE, np.full((N, M), WIDTH), LINES, wave_error=np.full((N, M), 0.02))
    assert off.error > 0.01 / np.sqrt(len(LINES)) * 0.9


def test_dark_lines_tell_as_well() -> None:
    found = measured(sky(-0.15, 2, tuple(-0.2 * s for s in STRENGTH)))
    assert abs(found.pixels + 0.15) < 4.0 * found.error


def test_sources_beside_the_line_do_not_move_it() -> None:
    one = sky(0.2, 3)
    at = np.array([np.interp(LINES[2] + 7.0, row, np.arange(M)) for row in WAVE[:8]])
    one.flux[:8] += line_image(at[:, None], np.full((8, 1), 1.5), np.full((8, 1), 3000.0), np.zeros(8, np.int64), M)
    found = measured(one)
    assert abs(found.pixels - 0.2) < 4.0 * found.error


def test_a_sky_without_lines_is_refused_and_lines_off_the_detector_left_out() -> None:
    with pytest.raises(NoConvergence, match="none of the lines"):
        measured(sky(0.0, 4, (0.0, 0.0, 0.0)))
    short = np.where(WAVE < 4200.0, np.nan, WAVE)
    with pytest.raises(NoConvergence):
        measured(sky(0.0, 4), short)  # no fibre is whole
    assert len(measured(sky(0.0, 5), WAVE + 400.0 * (WAVE > 0) - 400.0).lines) >= 2

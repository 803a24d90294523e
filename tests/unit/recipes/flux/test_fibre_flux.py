import numpy as np
import pytest

from tracecube.core.errors import NoConvergence
from tracecube.recipes.flux.fibre_flux import smooth_throughput, synthetic_magnitude, zero_point

WAVE = 3470.0 + 2.0 * np.arange(1036)
BAND = (np.linspace(4000.0, 5500.0, 151), np.r_[0.0, np.ones(149), 0.0])


def test_flat_spectrum_in_frequency_has_its_magnitude():
    flux = 10 ** (-0.4 * (17.3 + 48.6)) * 2.99792458e18 / WAVE**2
    magnitude, error, _ = synthetic_magnitude(WAVE, flux, (0.05 * flux) ** 2, np.zeros(1036, int), BAND)
    assert magnitude == pytest.approx(17.3, abs=1e-6)
    assert error == pytest.approx(1.0857 * 0.05 / np.sqrt(750), rel=0.05)


def test_band_that_is_half_missing_gives_no_magnitude():
    flags = np.where(WAVE > 4600, 64, 0)
    assert np.isnan(synthetic_magnitude(WAVE, np.ones(1036), np.ones(1036), flags, BAND)[0])


def test_throughput_passes_the_table_and_stays_positive():
    wave, curve = np.array([3500.0, 4000.0, 4500.0, 5500.0]), np.array([0.03, 0.12, 0.16, 0.13])
    np.testing.assert_allclose(smooth_throughput(wave, wave, curve), curve)
    assert np.all(smooth_throughput(np.linspace(3300.0, 5700.0, 50), wave, curve) > 0)


def test_zero_point_is_not_moved_by_variable_stars():
    rng = np.random.default_rng(3)
    catalogue = rng.uniform(15.0, 19.0, 25)
    measured = catalogue + 0.21 + rng.normal(0.0, 0.03, 25)
    measured[:4] += [0.5, -0.8, 0.6, 0.4]
    found = zero_point(measured, np.full(25, 0.01), catalogue, np.ones(25, bool))
    assert found.factor == pytest.approx(10 ** (0.4 * 0.21), abs=4 * found.error)
    assert found.error < 0.012
    assert not found.used[:4].any()


def test_errors_of_the_zero_point_are_its_scatter():
    rng = np.random.default_rng(4)
    pulls = []
    for _ in range(200):
        catalogue = rng.uniform(15.0, 19.0, 15)
        measured = catalogue + rng.normal(0.0, 0.04, 15)
        found = zero_point(measured, np.full(15, 0.01), catalogue, np.ones(15, bool))
        pulls.append((found.factor - 1.0) / found.error)
    assert 0.8 < np.std(pulls) < 1.3


def test_two_stars_are_too_few():
    with pytest.raises(NoConvergence, match="2 stars"):
        zero_point(np.full(2, 17.0), np.full(2, 0.01), np.full(2, 17.0), np.ones(2, bool))

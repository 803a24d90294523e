from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecube.kernels.atmosphere import (
    air_to_vacuum,
    broadening_matrix,
    differential_refraction,
    extinction_transmission,
    refraction_shift,
    refractive_index,
    standard_pressure,
    transmission_in_bins,
)

AIR = {"pressure": 630.0, "temperature": 9.0, "humidity": 30.0}


@pytest.mark.parametrize(
    ("pressure", "temperature", "humidity", "expected"),
    [
        (1000.0, 20.0, 0.0, 26824.4e-8),  # Ciddor 1996, table 1, 633 nm
        (1013.25, 20.0, 0.0, 2.71800e-4),  # NIST Engineering Metrology Toolbox, 633 nm
        (1013.25, 20.0, 50.0, 2.71372e-4),
    ],
)
def test_index_agrees_with_tables(pressure: float, temperature: float, humidity: float, expected: float) -> None:
    index = refractive_index(np.array([6330.0]), pressure=pressure, temperature=temperature, humidity=humidity)
    assert index[0] == pytest.approx(expected, abs=2e-9)


def test_vacuum_wavelengths_of_known_lines() -> None:
    # H alpha, H beta and the mercury line at 5461: air and vacuum wavelengths of NIST
    air, vacuum = np.array([6562.79, 4861.35, 5460.735]), np.array([6564.60, 4862.71, 5462.252])
    np.testing.assert_allclose(air_to_vacuum(air), vacuum, atol=0.02)


def test_pressure_of_the_standard_atmosphere() -> None:
    # ISO 2533, geopotential altitudes
    assert standard_pressure(0.0) == pytest.approx(1013.25)
    assert standard_pressure(1000.0) == pytest.approx(898.76, abs=0.05)
    assert standard_pressure(5000.0) == pytest.approx(540.2, abs=0.1)


@given(st.floats(1.0, 2.5), st.floats(0.0, 360.0))
def test_blue_light_stands_nearer_to_the_zenith(airmass: float, angle: float) -> None:
    wave = np.array([4000.0, 6200.0, 9000.0])
    east, north = refraction_shift(wave, 6200.0, (airmass, airmass), (angle, angle), **AIR)
    towards = east * np.sin(np.radians(angle)) + north * np.cos(np.radians(angle))
    across = east * np.cos(np.radians(angle)) - north * np.sin(np.radians(angle))
    assert towards[1] == pytest.approx(0.0, abs=1e-9)
    assert towards[0] >= 0.0 >= towards[2]
    np.testing.assert_allclose(across, 0.0, atol=1e-9)


def test_refraction_grows_with_the_tangent_of_the_zenith_distance() -> None:
    one, two = differential_refraction(np.array([4000.0]), 6200.0, np.array([1.0, 2.0]), **AIR)[:, 0]
    assert two == pytest.approx(2.0 * one)


def edlen(wave: np.ndarray, millimetres: float, celsius: float) -> np.ndarray:
    """Index of dry air minus one: Filippenko 1982, PASP 94, 715, equations 1 and 2 (after Edlen 1953)."""
    s2 = (1e4 / wave) ** 2
    standard = 1e-6 * (64.328 + 29498.1 / (146.0 - s2) + 255.4 / (41.0 - s2))
    density = millimetres * (1.0 + (1.049 - 0.0157 * celsius) * 1e-6 * millimetres)
    return standard * density / (720.883 * (1.0 + 0.003661 * celsius))


def test_refraction_agrees_with_the_older_formula() -> None:
    wave = np.linspace(3700.0, 9500.0, 30)
    ours = differential_refraction(wave, 5000.0, np.array(1.0), pressure=800.0, temperature=7.0, humidity=0.0)
    index = edlen(np.append(wave, 5000.0), 800.0 / 1.33322, 7.0)
    np.testing.assert_allclose(ours, (index[:-1] - index[-1]) * 206264.8, atol=0.003)


def test_mean_over_an_exposure_follows_the_arc() -> None:
    angles = np.radians(np.linspace(30.0, 40.0, 101))
    wave = np.array([4000.0])
    east, north = refraction_shift(wave, 6200.0, (1.3, 1.3), (30.0, 40.0), **AIR)
    size = differential_refraction(wave, 6200.0, np.array(np.sqrt(1.3**2 - 1)), **AIR)[0]
    assert east[0] == pytest.approx(size * np.sin(angles).mean(), rel=0.003)
    assert north[0] == pytest.approx(size * np.cos(angles).mean(), rel=0.003)


def test_extinction_is_magnitudes_an_airmass() -> None:
    curve = np.array([4000.0, 8000.0]), np.array([0.4, 0.0])
    through = extinction_transmission(np.array([4000.0, 6000.0, 8000.0]), *curve, 2.0)
    np.testing.assert_allclose(-2.5 * np.log10(through), [0.8, 0.4, 0.0])


def test_a_flat_spectrum_stays_flat() -> None:
    wave = np.linspace(4000.0, 9000.0, 200)
    matrix = broadening_matrix(np.arange(3500.0, 9500.0, 3.0), wave, np.linspace(15.0, 50.0, 200))
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-6)


def test_a_gaussian_line_gets_the_width_of_both() -> None:
    fine = np.arange(5000.0, 7000.0, 2.0)
    wave = np.arange(5200.0, 6800.0, 4.0)
    line = np.exp(-0.5 * ((fine - 6000.0) / 30.0) ** 2)
    seen = broadening_matrix(fine, wave, np.full(wave.size, 40.0)) @ line
    # a sample of 4 and a step of 2 Angstrom add their own second moments
    sigma2 = 30.0**2 + 40.0**2 + (4.0**2 + 2.0**2) / 12.0
    expected = 30.0 / np.sqrt(sigma2) * np.exp(-0.5 * (wave - 6000.0) ** 2 / sigma2)
    np.testing.assert_allclose(seen, expected, atol=2e-4)


def test_a_single_wavelength_has_no_bin() -> None:
    with pytest.raises(ValueError, match="at least two wavelengths"):
        transmission_in_bins(np.array([5000.0]), np.arange(4990.0, 5010.0), np.ones(20))

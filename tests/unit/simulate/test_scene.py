from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracecube.simulate.scene import (
    SUPERNOVAE,
    Seeing,
    flux_of_magnitude,
    galaxy_spectrum,
    hexagon_points,
    moonlight,
    planck,
    point_fractions,
    supernova_spectrum,
)

WAVE = np.arange(3300.0, 10700.0, 10.0)


def test_black_body_peaks_where_wien_says() -> None:
    wave = np.arange(3000.0, 20000.0, 1.0)
    assert wave[np.argmax(planck(wave, 4000.0))] == pytest.approx(2.897771955e7 / 4000.0, abs=2.0)
    assert planck(np.array([6000.0]), 9000.0)[0] == pytest.approx(1.0)


def test_magnitude_zero_is_oke() -> None:
    assert flux_of_magnitude(np.array([5500.0]), 0.0)[0] == pytest.approx(3.6e-9, rel=0.01)


@pytest.mark.parametrize("kind", sorted(SUPERNOVAE))
def test_supernovae_have_their_magnitude_and_features(kind: str) -> None:
    flux = supernova_spectrum(WAVE, kind, 0.05, 18.0)
    box = (WAVE > 5900) & (WAVE < 6800)
    assert flux[box].sum() == pytest.approx(flux_of_magnitude(WAVE, 18.0)[box].sum())
    assert (flux > 0).all()
    brighter = supernova_spectrum(WAVE, kind, 0.05, 17.0)
    assert np.allclose(brighter / flux, 10**0.4)


def test_silicon_of_a_supernova_moves_with_redshift() -> None:
    def trough(redshift: float) -> float:
        flux = supernova_spectrum(WAVE, "Ia", redshift, 17.0)
        rest = WAVE / (1 + redshift)
        band = (rest > 5950) & (rest < 6300)
        return float(WAVE[band][np.argmin(flux[band])])

    assert trough(0.1) / trough(0.0) == pytest.approx(1.1, abs=0.005)
    assert trough(0.0) == pytest.approx(6357.0 * (1 - 11000 / 299792), abs=60.0)


def test_galaxy_and_moon() -> None:
    flux = galaxy_spectrum(WAVE, 0.0, 17.0)
    assert flux[WAVE == 6560.0][0] > 1.3 * flux[WAVE == 6500.0][0]
    moon = moonlight(WAVE, np.ones(WAVE.size), 20.0)
    assert moon[0] > moon[-1]


@given(st.floats(0.3, 1.5), st.floats(-180.0, 180.0))
def test_points_of_a_lenslet_fill_a_hexagon(pitch: float, angle: float) -> None:
    points = hexagon_points(pitch, angle)
    assert points.shape == (37, 2)
    assert np.allclose(points.mean(axis=0), 0.0, atol=1e-12)
    # a hexagon with sides at pitch / 2: second moment 5 / 72 pitch^2 an axis
    assert np.allclose(np.cov(points.T, bias=True), 5.0 / 72.0 * pitch**2 * np.eye(2), rtol=0.03, atol=1e-9)
    direction = np.radians(angle + 60.0 * np.arange(6))
    reach = (points @ np.array([np.cos(direction), np.sin(direction)])).max()
    assert reach < 0.5 * pitch + 1e-9


def test_light_of_a_star_is_conserved_and_grows_bluewards() -> None:
    pitch = 0.64
    q, r = (i.ravel().astype(float) for i in np.mgrid[-60:61, -60:61])
    east, north = pitch * (q + 0.5 * r), pitch * np.sqrt(0.75) * r
    wave = np.array([4000.0, 6500.0, 9000.0])
    seeing = Seeing(1.8)
    centre = (np.array([0.3, 0.0, -0.1]), np.array([0.0, 0.1, 0.2]))
    share = np.sqrt(0.75) * pitch**2 * point_fractions((east, north), hexagon_points(pitch, 0.0), centre, wave, seeing)
    assert np.allclose(share.sum(axis=0), 1.0, atol=5e-3)
    assert np.allclose((share * east[:, None]).sum(axis=0), centre[0], atol=0.01)
    assert share[:, 0].max() < share[:, 2].max()

from __future__ import annotations

import numpy as np
import pytest

from tracecube.recipes.sky.stars import find_stars


def image(places: list[tuple[float, float, float]], *, trail: float = 0.0, seed: int = 0) -> np.ndarray:
    """Stars (x, y, peak) of 2 px Gaussian width on a tilted sky with noise; trailed along x if asked."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:300, :320].astype(float)
    sky = 100.0 + 0.05 * x + rng.normal(0, 4, x.shape)
    for x0, y0, peak in places:
        for shift in np.linspace(-trail / 2, trail / 2, 25) if trail else [0.0]:
            share = peak / (25 if trail else 1)
            sky += share * np.exp(-0.5 * ((x - x0 - shift) ** 2 + (y - y0) ** 2) / 2.0**2)
    return sky


def test_places_brightness_and_width() -> None:
    places = [(50.3, 60.7, 900.0), (200.1, 150.4, 300.0), (120.8, 250.2, 100.0)]
    stars = find_stars(image(places), threshold=5.0, smoothing=1.5, saturation=55000.0)
    assert stars.number == 3
    np.testing.assert_allclose(stars.x, [50.3, 200.1, 120.8], atol=0.3)
    np.testing.assert_allclose(stars.y, [60.7, 150.4, 250.2], atol=0.3)
    assert np.all(np.diff(stars.flux) < 0)
    assert stars.fwhm[0] == pytest.approx(2 * 2.3548, rel=0.05)
    assert stars.elongation[0] == pytest.approx(1.0, abs=0.1)


def test_trailed_stars_are_long() -> None:
    stars = find_stars(image([(150.0, 150.0, 4000.0)], trail=25.0), threshold=5.0, smoothing=1.5, saturation=55000.0)
    assert stars.number == 1
    assert stars.elongation[0] > 2.5


def test_hot_pixels_are_no_stars() -> None:
    frame = image([(50.0, 60.0, 900.0)])
    frame[100, 100] += 3e3
    stars = find_stars(frame, threshold=20.0, smoothing=1.5, saturation=55000.0)
    assert np.all(np.hypot(stars.x - 50, stars.y - 60) < 5) or stars.number <= 2


def test_saturated_and_faint_stars_have_no_width() -> None:
    stars = find_stars(image([(50.0, 60.0, 900.0), (200, 200, 40.0)]), threshold=5.0, smoothing=1.5, saturation=500.0)
    assert stars.number == 2
    assert np.isnan(stars.fwhm).all()


def test_an_empty_sky_has_no_stars() -> None:
    stars = find_stars(image([]), threshold=6.0, smoothing=1.5, saturation=500.0)
    assert stars.number == 0

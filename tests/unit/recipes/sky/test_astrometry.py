from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracecube.core.errors import BadData, NoConvergence
from tracecube.recipes.sky.astrometry import Search, solve_plate
from tracecube.recipes.sky.stars import Stars

SEARCH = Search(
    scale=0.394, rotation=6.0, offset=120.0, scale_error=0.02, tolerance=1.0, minimum=5, elongation=1.6, brightest=30
)


def sky(seed: int, number: int = 250) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Catalogue stars: east, north (arcsec), magnitude."""
    rng = np.random.default_rng(seed)
    east, north = rng.uniform(-400, 400, (2, number))
    return east, north, np.sort(rng.uniform(13, 20, number))


def detections(
    east: np.ndarray,
    north: np.ndarray,
    magnitude: np.ndarray,
    *,
    rotation: float,
    offset: tuple[float, float],
    seed: int,
) -> Stars:
    """Stars that fall on 440 pixels, some missing, some false, with errors of a tenth of an arcsec."""
    rng = np.random.default_rng(seed)
    angle = np.radians(rotation)
    a, b = -0.3945 * np.cos(angle), 0.3945 * np.sin(angle)
    u, v = east - offset[0], north - offset[1]
    norm = a * a + b * b
    x, y = (a * u + b * v) / norm - 19.6, (b * u - a * v) / norm + 6.8
    inside = (x > 0) & (x < 440) & (y > 0) & (y < 440) & (magnitude < 19) & (rng.random(x.size) < 0.85)
    x, y = x[inside] + rng.normal(0, 0.25, inside.sum()), y[inside] + rng.normal(0, 0.25, inside.sum())
    false = rng.uniform(0, 440, (2, 4))
    flux = np.append(10 ** (-0.4 * (magnitude[inside] - 20)), np.full(4, 1.5))
    ones = np.ones(flux.size)
    return Stars(np.append(x, false[0]), np.append(y, false[1]), flux, 5.0 * ones, 1.05 * ones)


@given(st.floats(-5, 5), st.floats(-90, 90), st.floats(-90, 90), st.integers(0, 50))
@example(0.0, -12.0, -0.5, 7)  # a dozen stars, eight of them true: chance gathers as many elsewhere
@settings(max_examples=25, deadline=None)
def test_any_small_rotation_and_offset_is_found(rotation: float, east0: float, north0: float, seed: int) -> None:
    catalogue = sky(seed)
    stars = detections(*catalogue, rotation=rotation, offset=(east0, north0), seed=seed)
    if stars.number < 12:
        return
    found = solve_plate(stars, *catalogue, SEARCH, centre=(-19.6, 6.8))
    east, north, error = found.sky(-19.6, 6.8)
    assert np.hypot(east - east0, north - north0) < max(0.3, 5 * error)
    assert found.rotation == pytest.approx(rotation, abs=0.3)
    assert found.scale == pytest.approx(0.3945, rel=2e-3)
    assert found.fwhm == pytest.approx(5.0 * 0.3945, rel=1e-2)


def test_another_field_is_refused() -> None:
    stars = detections(*sky(1), rotation=1.0, offset=(10.0, 5.0), seed=1)
    refused = 0
    for seed in range(20, 40):
        try:
            solve_plate(stars, *sky(seed), SEARCH, centre=(-19.6, 6.8))
        except NoConvergence:
            refused += 1
    assert refused >= 19


def test_trailed_and_empty_images_are_refused() -> None:
    catalogue = sky(1)
    stars = detections(*catalogue, rotation=1.0, offset=(10.0, 5.0), seed=1)
    with pytest.raises(BadData, match="trailed"):
        solve_plate(replace(stars, elongation=np.full(stars.number, 4.0)), *catalogue, SEARCH, centre=(-19.6, 6.8))
    few = Stars(*(getattr(stars, name)[:3] for name in ("x", "y", "flux", "fwhm", "elongation")))
    with pytest.raises(BadData, match="only 3 stars"):
        solve_plate(few, *catalogue, SEARCH, centre=(-19.6, 6.8))

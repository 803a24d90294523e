"""Light of galaxies and of stars' wings in a bundle."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.sky.test_fibre_sky import places
from tracecube.recipes.sky.extended_light import extended_light

N, SIGMA, SLOPE = 448, 0.004, 4e-4


def bundle(seed: int, stars: list[tuple[float, float, float]], centre=(-6.0, 8.0), ratio: float = 1.0):
    """Levels of the fibres of a bundle: sky of 1, a disc, stars of a seeing that the model does not know."""
    rng = np.random.default_rng(seed)
    at = np.stack(places(N), axis=1)
    off = at - centre
    light = 0.15 * np.exp(-np.hypot(off[:, 0], off[:, 1] / ratio) / 6.0)
    star = np.zeros(N)
    for x, y, peak in stars:
        star += peak * (1.0 + np.hypot(*(at - (x, y)).T) ** 2 / 1.6**2) ** -3.5
    level = 1.0 + light + star + SIGMA * rng.normal(size=N)
    return level, at, light, star


def found(level: np.ndarray, at: np.ndarray):
    """What is found from a ground that is a little off."""
    return extended_light(level, np.full(N, SIGMA), at, np.full(N, 1.003), SLOPE)


@pytest.mark.parametrize("seed", range(3))
def test_a_galaxy_is_found_beside_a_star_that_outshines_it(seed: int) -> None:
    """The star is a thousand times as bright: its place is not taken for the galaxy's middle."""
    level, at, light, star = bundle(seed, [(17.0, -3.0, 150.0), (2.0, -12.0, 5.0), (-15.0, -14.0, 0.3)])
    made = found(level, at)
    clear = star < 0.1 * SIGMA
    for low, high, within in ((0.03, 1.0, 0.05), (0.008, 0.03, 0.2)):
        ring = clear & (light > low) & (light < high)
        assert ring.sum() > 20
        assert np.mean(made.light[ring]) == pytest.approx(np.mean(light[ring]), rel=within)
    assert made.doubt < 0.002
    # what a shift takes: that of an exponential of 6 arcsec
    near = light > 0.03
    assert np.median(np.hypot(*made.steep[near].T) / made.light[near]) == pytest.approx(1.0 / 6.0, rel=0.15)
    assert np.median(made.wings[near & clear]) < SIGMA


def test_a_galaxy_may_be_flat() -> None:
    level, at, light, _ = bundle(5, [(17.0, -3.0, 150.0)], ratio=0.5)
    made = found(level, at)
    along, across = (np.abs(at - (-6.0, 8.0))[:, k] < 4.0 for k in (1, 0))  # noqa: PLR2004 - arcsec
    for strip in (along, across):
        ring = strip & (light > 0.01)
        assert np.mean(made.light[ring]) == pytest.approx(np.mean(light[ring]), rel=0.15)


def test_stars_alone_are_no_galaxy() -> None:
    level, at, light, star = bundle(7, [(17.0, -3.0, 150.0), (-10.0, 5.0, 20.0)])
    made = found(level - light, at)
    far = star < 0.1 * SIGMA
    assert np.mean(made.light[far]) < 0.1 * SIGMA
    assert not made.steep.any()

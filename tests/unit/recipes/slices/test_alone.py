"""Light that one slice alone sees was a cosmic ray's, whatever its shape; stars and their lines are seen by several."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.slices import SliceGeometry
from tracecube.recipes.slices.alone import SliceView, beside, find_alone

SHAPE = (120, 70)
SLICE = 0.2  # arcsec


def seen(rng, number, light=None, shift=0.0):
    """A slice at ``number`` widths, tilted lines; ``light(along, wave, across)`` over a ground of 20 per pixel."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]].astype(np.float64)
    wave = 6000.0 + 1.25 * (y + shift + 0.03 * number * (x - 35.0))
    along = -SLICE * (x - 34.5 - 0.3 * number)
    clean = np.full(SHAPE, 20.0) + (0.0 if light is None else light(along, wave, number * SLICE))
    variance = clean + 9.0
    noisy = clean - 20.0 + rng.normal(0, np.sqrt(variance))
    return SliceView(noisy, variance, np.ones(SHAPE, bool), np.zeros(SHAPE, bool), wave, along)


def star(fwhm, *, middle=0.0, lines=False, peak=3e3):
    """A star, or what shines in a few narrow lines alone, with the wings of a Moffat."""
    core = (0.5 * fwhm) ** 2 / (2 ** (1 / 2.5) - 1)

    def light(along, wave, across):
        shape = (1.0 + ((along - 0.37) ** 2 + (across - middle) ** 2) / core) ** -2.5
        if lines:
            shape = shape * sum(np.exp(-0.5 * ((wave - at) / 0.98) ** 2) for at in 6013.2 + 17.77 * np.arange(7))
        return peak * shape

    return light


def test_a_track_as_wide_as_a_line_and_as_long_as_a_star_is_found():
    rng = np.random.default_rng(1)
    own, below, above = (seen(rng, number, shift=7.3 * number) for number in (0, -1, 1))
    own.light[40:42, 20:31] += 100.0 + rng.gamma(4.0, 20.0, (2, 11))
    own.light[70:78, 50:53] += 100.0
    found = find_alone(own, (below, above), limit=6.0)
    assert found[40:42, 20:31].all()
    assert found[70:78, 50:53].mean() > 0.95
    assert found.sum() < 48


@pytest.mark.parametrize("lines", [False, True])
@pytest.mark.parametrize("fwhm", [0.4, 0.8])
def test_stars_and_knots_of_gas_stay_wherever_they_lie(lines, fwhm):
    for middle in np.arange(-3.0, 3.1, 0.25) * SLICE:
        rng = np.random.default_rng(2)
        light = star(fwhm, middle=middle, lines=lines)
        own, below, above = (seen(rng, number, light, shift=7.3 * number) for number in (0, -1, 1))
        for others in ((below, above), (above,), (below,)):
            assert not find_alone(own, others, limit=6.0).any(), middle


def test_where_one_slice_lies_beside_bright_hits_alone_are_found_and_nothing_without_any():
    rng = np.random.default_rng(3)
    own, below = seen(rng, 0), seen(rng, -1)
    own.light[40:42, 20:31] += 400.0
    own.light[80, 20] += 45.0
    found = find_alone(own, (below,), limit=6.0)
    assert found[40:42, 20:31].all()
    assert not found[80, 20]
    assert not find_alone(own, (), limit=6.0).any()


def test_bad_and_hit_pixels_beside_tell_nothing():
    rng = np.random.default_rng(4)
    light = star(0.8)
    own, below, above = (seen(rng, number, light) for number in (0, -1, 1))
    for other in (below, above):
        other.usable[:, 25:60] = False
        other.light[:, 25:60] = 0.0
    assert not find_alone(own, (below, above), limit=6.0).any()


def test_slices_beside_are_the_next_in_the_column_and_no_farther():
    y = np.array([0.0, 0.2, 0.4, 0.6, 1.2, 0.2, 0.4])
    x = np.array([0.0, 0.1, 0.0, 0.0, 0.0, 15.0, 15.0])
    n = len(x)
    geometry = SliceGeometry(np.arange(n), x, y, np.zeros(n), np.full(n, 15.0), np.zeros(n, np.int32), {})
    views = {row: seen(np.random.default_rng(row), 0) for row in range(n)}
    found = [
        [next(row for row, view in views.items() if view is one) for one in beside(views, geometry, row)]
        for row in range(n)
    ]
    assert found == [[1], [0, 2], [1, 3], [2], [], [6], [5]]
    del views[1]
    assert beside(views, geometry, 0) == []

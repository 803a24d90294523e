"""Places on the sky from hexagonal indices."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tracecube.core.optics import TraceSet
from tracecube.recipes.optics.hexagons import SkyGuess, layout_from_traces


def traces(rng: np.random.Generator, angle: float) -> tuple[TraceSet, np.ndarray]:
    """Traces of a lattice 45 px apart whose first axis lies at ``angle`` degrees on the detector."""
    q, r = (a.ravel() for a in np.meshgrid(np.arange(-12, 13), np.arange(-12, 13), indexing="ij"))
    theta = np.radians([angle, angle + 60.0])
    basis = 45.0 * np.stack([np.cos(theta), np.sin(theta)], axis=1)
    place = np.stack([q, r], axis=1) @ basis + [1000.0, 900.0]
    place += rng.normal(0, 0.3, place.shape) + 3.0 * ((place - 900.0) / 500.0) ** 2
    n, empty = q.size, np.zeros((q.size, 1))
    flags = np.zeros(n, np.int32)
    number = np.arange(n) + 7
    return TraceSet(number, flags, q, r, flags, empty, empty, flags[:, None], np.zeros(3), np.zeros(3)), place


@given(st.integers(0, 2**32 - 1), st.floats(-29.0, 29.0), st.floats(0.0, 360.0))
@settings(max_examples=25, deadline=None)
def test_lattice_is_regular_and_turned_as_the_detector_is(seed: int, angle: float, sky: float) -> None:
    rng = np.random.default_rng(seed)
    apertures, place = traces(rng, angle)
    centre = (1000.0, 900.0)
    layout = layout_from_traces(apertures, place, SkyGuess(pitch=0.64, angle=sky, centre=centre))
    assert np.array_equal(layout.aperture, apertures.aperture)
    # A step along the detector's dispersion points to position angle ``sky``, one across to 90 degrees less.
    offset = (place - centre) * 0.64 / 45.0
    pa, across = np.radians(sky), np.radians(sky - 90.0)
    east = offset[:, 0] * np.sin(pa) + offset[:, 1] * np.sin(across)
    north = offset[:, 0] * np.cos(pa) + offset[:, 1] * np.cos(across)
    assert np.max(np.hypot(layout.x - east, layout.y - north)) < 0.4
    assert np.isclose(np.median(np.hypot(layout.x - east, layout.y - north)), 0.0, atol=0.15)
    assert layout.pitch == 0.64
    assert abs((layout.angle - (sky - angle) + 180.0) % 360.0 - 180.0) < 0.5


def test_neighbours_are_one_pitch_apart() -> None:
    apertures, place = traces(np.random.default_rng(2), -15.8)
    layout = layout_from_traces(apertures, place, SkyGuess(pitch=0.64, angle=87.0, centre=(1000.0, 900.0)))
    origin = np.flatnonzero((apertures.q == 0) & (apertures.r == 0))[0]
    step = np.hypot(layout.x - layout.x[origin], layout.y - layout.y[origin])
    assert np.allclose(np.sort(step)[1:7], 0.64)
    assert np.allclose(np.sort(step)[7:13], 0.64 * np.sqrt(3.0))
    assert np.hypot(layout.x[origin], layout.y[origin]) < 0.05

"""Flexure in both directions from simulated skies."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.small_field import SHAPE, frame, small_field
from tracecube.core.errors import NoConvergence
from tracecube.recipes.extract.joint import ExtractionParams, extract, trace_matrix
from tracecube.recipes.optics.flexure import FlexureParams, SkyModel, coarse_shift, mean_sky, shift_across, shift_along

FIELD = small_field()
SKY = SkyModel(
    np.array([4359.6, 5462.3, 5578.9, 5891.6, 5897.6, 6302.0, 7341.0, 7841.0, 8400.0, 8886.0]),
    np.array([1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    np.array(["a", "b", "c", "d", "d", "e", "f", "g", "h", "i"]),
    {},
    (np.arange(3000.0, 11000.0, 10.0), np.ones(800)),
)
QUICK = ExtractionParams(scatter_pieces=0, passes=2)


@pytest.mark.parametrize("shift", [(-0.9, 1.3), (0.31, -0.4), (0.0, 0.0)])
def test_shifts_are_found_to_a_fiftieth_of_a_pixel(shift: tuple[float, float]) -> None:
    strength = 400.0 * np.array([0.5, 1, 2, 1.3, 0.7, 1, 0.8, 0.9, 1.2, 1.1])
    moved = FIELD.traces
    sky = FIELD.lines(SKY.line_wave, strength, shift=shift[0])
    sky = np.roll(sky, 0) + FIELD.image(60.0 * FIELD.throughput[:, None] * np.ones(moved.centre.shape))
    y = np.arange(SHAPE[0], dtype=float)
    sky = np.stack([np.interp(y - shift[1], y, column) for column in sky.T], axis=1)
    seen = frame(sky, np.random.default_rng(7))
    across = coarse_shift(seen, moved, 2.0)
    assert abs(across - shift[1]) <= 0.6
    for _ in range(4):
        matrix, slope = (
            trace_matrix(moved, SHAPE, half_width=12, shift=(0.0, across), derivative=d) for d in (False, True)
        )
        found = extract(seen, matrix, QUICK, floor=16.0)
        step, error = shift_across(seen, found, matrix, slope)
        across += step
    assert across == pytest.approx(shift[1], abs=0.02)
    assert error < 0.01
    mean = mean_sky(found, FIELD.solution(), FIELD.throughput, FlexureParams())
    along, along_error, _ = shift_along(mean, SKY, FlexureParams())
    assert along == pytest.approx(shift[0], abs=max(0.02, 3 * along_error))
    assert along_error < 0.05


def test_a_dark_frame_has_no_flexure() -> None:
    seen = frame(np.zeros(SHAPE), np.random.default_rng(1))
    seen.data[:] = 0.0
    matrix, slope = (trace_matrix(FIELD.traces, SHAPE, half_width=12, derivative=d) for d in (False, True))
    found = extract(seen, matrix, QUICK, floor=16.0)
    with pytest.raises(NoConvergence, match="no light"):
        shift_across(seen, found, matrix, slope)

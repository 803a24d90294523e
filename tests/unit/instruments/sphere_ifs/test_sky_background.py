"""What a plane is told of a background that changes, and what it tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracecube.core.frame import Frame
from tracecube.core.optics import Layout, PixelMap
from tracecube.core.pixels import Background
from tracecube.instruments.sphere_ifs import sky
from tracecube.instruments.sphere_ifs.detector_steps import DetectorMasters

PLANE = np.zeros((30, 30), np.float32)
MEAN = Background(PLANE, PLANE.astype(np.int32), PLANE, PLANE, PLANE)
CHANGING = replace(MEAN, components=PLANE[None] + 1.0, spread=np.ones(1), left=np.zeros(1))


def optics() -> sky.Optics:
    aperture = np.full(PLANE.shape, -1, np.int32)
    aperture[10:20, 10:20] = 0
    layout = Layout(np.zeros(1, int), np.ones(1), np.zeros(1), np.zeros(1, np.int32), 0.01, 0.0)
    return sky.Optics(None, None, PixelMap(PLANE, aperture, PLANE), layout, None, None)  # type: ignore[arg-type]


def test_clear_pixels_are_looked_for_where_the_background_that_is_subtracted_changes():
    params = sky.ClearPixels(4.0, 0.6)

    def clear(background: Background | None, night: Background | None) -> np.ndarray | None:
        return sky._clear(DetectorMasters([], background, night), optics(), params)

    assert clear(None, None) is None
    assert clear(None, MEAN) is None
    assert clear(CHANGING, MEAN) is None
    for found in (clear(MEAN, CHANGING), clear(CHANGING, None)):
        assert found is not None
        assert found[15, 2]
        assert not found[15, 7:23].any()


def test_a_plane_tells_what_was_fitted_and_whether_it_is_unlike_the_skies():
    cards = {"BGNCOMP": 2, "BGRMSMN": 7.5, "BGRMS": 6.5, "BGREACH": 6.0}
    told = {q.name: q for q in sky._background_numbers(Frame(PLANE, PLANE, PLANE.astype(np.int32), cards))}
    assert {name: one.value for name, one in told.items()} == {
        "BACKGROUND COMPONENTS": 2.0,
        "BACKGROUND LEFT MEAN": 7.5,
        "BACKGROUND LEFT": 6.5,
        "BACKGROUND REACH": 6.0,
    }
    assert not told["BACKGROUND REACH"].good
    assert sky._background_numbers(Frame(PLANE, PLANE, PLANE.astype(np.int32), {})) == ()

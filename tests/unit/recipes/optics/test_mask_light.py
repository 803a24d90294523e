"""Light of arc lines along slices, behind a mask."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.slice_detector import SliceDetector, expose
from tracecube.core.flags import Flag
from tracecube.recipes.optics.mask_light import lines_along


def test_a_slice_without_trace_has_no_light_and_harms_no_other():
    detector = SliceDetector(count=2)
    wave = np.array([6200.0, 6900.0, 7800.0])
    frame = expose(detector.lines(wave, np.full(3, 5000.0)), np.random.default_rng(1))
    flat = replace(frame, data=detector.light(slope=0.0).astype(np.float32))
    lost = replace(detector.traces, dq=np.array([0, int(Flag.NOT_MEASURED)], np.int32))
    found = lines_along(frame, flat, lost, detector.solution, wave)
    assert np.isnan(found.light[1]).all()
    middle = np.abs(found.place[0]) < 30.0
    assert found.light[0][middle] == pytest.approx(np.nanmean(found.light[0][middle]), rel=0.2)

"""What the modes of the instrument differ in."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.slice_detector import SliceDetector
from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.instruments.muse.headers import first_wavelength
from tracecube.instruments.muse.modes import LASER_MODES, has_corrector, is_narrow, notch, without_notch


def meta(mode: str) -> dict[str, str]:
    return {"ESO INS MODE": mode}


@pytest.mark.parametrize(
    ("mode", "gap", "narrow", "first"),
    [
        ("WFM-NOAO-N", None, False, 4750.0), ("WFM-NONAO-N", None, False, 4750.0),
        ("WFM-NOAO-E", None, False, 4600.0), ("WFM-AO-N", (5805.0, 5966.0), False, 4700.0),
        ("WFM-AO-E", (5755.0, 6008.0), False, 4600.0), ("NFM-AO-N", (5780.0, 6050.0), True, 4750.0),
    ],
)  # fmt: skip
def test_every_mode(mode, gap, narrow, first):
    assert notch(meta(mode)) == gap
    assert is_narrow(meta(mode)) is narrow
    assert has_corrector(meta(mode)) is narrow
    assert (mode in LASER_MODES) is (gap is not None)
    assert first_wavelength(mode.replace("NONAO", "NOAO")) == first


def test_pixels_in_the_gap_see_no_light_and_others_do():
    detector = SliceDetector(count=2)
    flags = np.zeros(detector.shape, np.int32)
    frame = Frame(np.ones(detector.shape), np.ones(detector.shape), flags, meta("WFM-AO-N"))
    solution, traces = detector.solution, detector.traces
    made = without_notch(frame, traces, solution)
    for row in range(2):
        x = np.rint(traces.centre[row]).astype(int)
        y = np.arange(detector.rows)
        wave = solution.wave(row, y.astype(float), x - traces.centre[row])
        inside = (wave > 5805.0) & (wave < 5966.0)
        assert ((made.flags[y, x] & int(Flag.NOT_ILLUMINATED) > 0) == inside).all()
        assert inside.any()
    assert not flags.any()
    assert without_notch(Frame(frame.data, frame.variance, flags, meta("WFM-NOAO-N")), traces, solution).flags is flags


def test_a_mode_that_is_not_known_has_no_first_wavelength():
    with pytest.raises(BadData, match="mode 'WFM-X' "):
        first_wavelength("WFM-X")

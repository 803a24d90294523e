"""An illumination flat that tells nothing costs no exposure: slices are as bright as in the flat of the day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.muse.small_products import META, SHAPE, traces
from tracecube.core.errors import BadData
from tracecube.core.frame import Frame, RawFrame
from tracecube.instruments.muse import exposure_steps

RAW = RawFrame("illum", "ILLUM", {}, {}, {})


def lamp(light: float, slope: float = 0.0) -> Frame:
    """Even light, brighter by a slope from slice to slice."""
    data = np.full(SHAPE, light) * (1.0 + slope * (np.arange(SHAPE[1]) > 55))
    return Frame(data.astype(np.float32), np.full(SHAPE, light + 9.0, np.float32), np.zeros(SHAPE, np.int32), META)


@pytest.fixture
def told(monkeypatch):
    """Brightness of slices, whether a shift is told, and what is said, of an illumination flat with such light."""
    monkeypatch.setattr(exposure_steps, "_ILLUM_ROWS", (100, 300))
    monkeypatch.setattr(exposure_steps, "edge_shift", lambda *_: exposure_steps.Shift(0.1, 0.01))

    def call(frame: Frame | None):
        def opened(*_: object) -> tuple[Frame, tuple[str, ...]]:
            if frame is None:
                raise BadData("no exposure of this channel can be used", hint="illum: all four read-outs are saturated")
            return frame, ("one output is dead",)

        monkeypatch.setattr(exposure_steps, "_opened", opened)
        gain, _, shift, said = exposure_steps._illumination(RAW, lamp(0.0), None, lamp(30000.0), traces())
        return gain, bool(np.isfinite(shift.error)), said

    return call


def test_a_good_one_tells_brightness_and_shift(told):
    gain, shifted, said = told(lamp(29000.0, 0.02))
    assert gain[1] / gain[0] == pytest.approx(1.02, abs=1e-3)
    assert shifted
    assert said == ("one output is dead",)


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (None, "all four read-outs are saturated"),
        (lamp(0.0), "was the lamp off"),
        (lamp(9000.0, 1.5), "not lit as those"),
    ],
)
def test_one_that_tells_nothing_is_left_out_with_a_word(told, frame, why):
    if frame is not None and not frame.data.any():
        noise = np.random.default_rng(1).normal(0.0, 3.0, SHAPE).astype(np.float32)
        frame = replace(frame, data=noise)
    gain, shifted, [said] = told(frame)
    assert gain.tolist() == [1.0, 1.0]
    assert not shifted
    assert said.startswith("the illumination flat can not be used")
    assert why in said

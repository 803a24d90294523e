"""Twilights over a flat that was taken through the filter against the laser: the gap does not count."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tests.unit.recipes.slice_detector import SliceDetector
from tracecube.core.frame import Frame, RawFrame
from tracecube.instruments.muse import exposure_steps
from tracecube.instruments.muse.exposure_steps import TwilightParams, twilight_light

DETECTOR = SliceDetector(count=2)


def marked(monkeypatch: pytest.MonkeyPatch, mode: str) -> np.ndarray:
    """Which pixels of a twilight do not count."""
    seen: dict[str, Frame] = {}
    sky = Frame(*(np.ones(DETECTOR.shape) for _ in range(2)), np.zeros(DETECTOR.shape, np.int32), {})
    made = SimpleNamespace(data=sky.data, variance=sky.variance, flags=sky.flags, notes=())
    channel = SimpleNamespace(meta={"DETECTOR": "CHAN01"}, raw=SimpleNamespace(name="skyflat0"))

    def evenness(over: Frame, *_: Any, **__: Any) -> SimpleNamespace:
        seen["over"] = over
        one = np.ones(2)
        return SimpleNamespace(measured=one, level=one, error=one, ratio=one)

    monkeypatch.setattr(exposure_steps, "open_channels", lambda _: ([channel], ()))
    monkeypatch.setattr(exposure_steps, "combine_lamps", lambda *_, **__: made)
    monkeypatch.setattr(exposure_steps, "edge_shift", lambda *_: exposure_steps.Shift(0.0, 0.01))
    monkeypatch.setattr(exposure_steps, "over_flat", lambda *_, **__: (sky.data, sky.variance, sky.flags))
    monkeypatch.setattr(exposure_steps, "geometry_of", lambda *_: None)
    monkeypatch.setattr(exposure_steps, "evenness", evenness)
    monkeypatch.setattr(exposure_steps, "colours_along", lambda *_, **__: None)
    flat = Frame(sky.data, sky.variance, sky.flags, {"ESO INS MODE": mode})
    twilight_light.function(
        raw=[cast("RawFrame", None)], bias=flat, flat=flat, traces=DETECTOR.traces, wavelengths=DETECTOR.solution,
        geometry=cast("RawFrame", None), params=TwilightParams(),
    )  # fmt: skip
    return np.asarray(seen["over"].flags != 0)


def test_the_gap_of_the_flat_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    out = marked(monkeypatch, "WFM-AO-E")
    y = np.arange(DETECTOR.rows)
    x = np.rint(DETECTOR.traces.centre[0]).astype(int)
    wave = DETECTOR.solution.wave(0, y.astype(float), x - DETECTOR.traces.centre[0])
    assert (out[y, x] == ((wave > 5755.0) & (wave < 6008.0))).all()
    assert out[y, x].any()


def test_without_the_laser_all_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not marked(monkeypatch, "WFM-NOAO-E").any()

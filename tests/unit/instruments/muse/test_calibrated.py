"""An exposure in electrons, band by band."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

from tests.unit.instruments.muse.raw_channel import HIGH, WIDE, raw
from tracecube.instruments.muse import exposure_steps
from tracecube.instruments.muse.ccd import Channel
from tracecube.instruments.muse.detector_steps import BiasParams, master_bias
from tracecube.instruments.muse.exposure import reader


def test_bands_make_what_the_whole_makes(monkeypatch):
    rng = np.random.default_rng(4)
    bias = master_bias(raw=[raw(rng, name=f"bias{k}") for k in range(3)], params=BiasParams()).master_bias
    light = np.linspace(20.0, 900.0, 2 * WIDE)[None, :] * np.linspace(0.5, 1.5, 2 * HIGH)[:, None]
    channel = Channel.of(raw(rng, light))
    read: list[tuple[int, int]] = []

    def watched(channel, bias, *, bad=()):
        inner = reader(channel, bias, bad=bad)
        return lambda y0, y1: read.append((y0, y1)) or inner(y0, y1)

    monkeypatch.setattr(exposure_steps, "reader", watched)
    monkeypatch.setattr(exposure_steps, "_ROWS", 100)
    made = exposure_steps.calibrated(channel, bias, ())
    assert len(read) == -(-2 * HIGH // 100)
    whole = reader(channel, bias)(0, channel.shape[0])
    np.testing.assert_array_equal(made.data, whole.data)
    signal = np.maximum(median_filter(whole.data, size=(1, 5), mode="nearest"), 0.0)
    np.testing.assert_array_equal(made.variance, whole.floor + signal)
    np.testing.assert_array_equal(made.flags, whole.flags)

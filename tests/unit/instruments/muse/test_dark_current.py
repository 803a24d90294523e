"""The smooth dark current: how sure it is, and of which exposures it is taken off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.instruments.muse.raw_channel import HIGH, WIDE, raw
from tracecube.core.frame import Frame
from tracecube.instruments.muse.associations import DARK, DARK_MODEL
from tracecube.instruments.muse.ccd import quadrants
from tracecube.instruments.muse.dark_current import DARK_SECONDS
from tracecube.instruments.muse.detector_steps import BiasParams, DarkParams, master_bias, master_dark
from tracecube.instruments.muse.exposure_steps import _without_dark

SHAPE = (2 * HIGH, 2 * WIDE)


def model(*, rate=1.5, glow=0.0, seconds=None):
    data = np.full(SHAPE, rate, np.float32)
    data[:64] += glow
    return Frame(
        data, np.full(SHAPE, 0.04, np.float32), np.zeros(SHAPE, np.int32), {DARK_SECONDS: seconds} if seconds else {}
    )


@pytest.fixture(scope="module")
def exposure():
    frame = Frame(np.full(SHAPE, 20.0, np.float32), np.full(SHAPE, 30.0, np.float32), np.zeros(SHAPE, np.int32), {})
    return frame, raw(np.random.default_rng(1), EXPTIME=600.0)


def test_the_current_of_an_exposure_is_taken_off_with_its_variance(exposure):
    frame, opened = exposure
    clean, caveats = _without_dark(frame, model(seconds=1800.0), opened)
    assert np.allclose(frame.data - clean.data, 0.25)
    assert np.allclose(clean.variance - frame.variance, 0.04 / 36.0, atol=1e-5)
    assert not caveats
    same, [caveat] = _without_dark(frame, None, opened)
    assert same is frame
    assert "stays in" in caveat


@pytest.mark.parametrize(
    ("dark", "why"),
    [
        (model(seconds=60.0), "60 s are too short"),
        (model(rate=40.0, seconds=1800.0), "light, or a warm chip"),
        (model(glow=30.0, seconds=1800.0), "light, or a warm chip"),
        (model(), "does not tell how long"),
    ],
)
def test_the_current_stays_in_where_the_dark_does_not_tell_it(exposure, dark, why):
    frame, opened = exposure
    clean, [caveat] = _without_dark(frame, dark, opened)
    assert clean is frame
    assert why in caveat
    assert "try:" in caveat


def test_the_error_of_the_current_holds_what_the_bias_leaves():
    rng = np.random.default_rng(5)
    bias = master_bias(raw=[raw(rng, name=f"b{k}") for k in range(3)], params=BiasParams()).master_bias
    left = {}
    for seconds in (60.0, 1800.0):
        frames = [raw(rng, name=f"d{k}", EXPTIME=seconds) for k in range(3)]
        for frame, off in zip(frames, (-2.0, 0.0, 2.0), strict=True):
            for part in quadrants(frame):
                part.data.of(frame.data)[:] += off
        made = master_dark(raw=frames, bias=bias, params=DarkParams(order=0)).dark_model
        assert made.meta[DARK_SECONDS] == seconds
        left[seconds] = np.sqrt(made.variance[0, 0]) * seconds / 3600.0
    assert left[60.0] == pytest.approx(left[1800.0], rel=0.2)
    assert 1.8 < left[60.0] < 3.0  # electron in a frame: 2 adu of scatter
    single = replace(raw(rng, EXPTIME=60.0), name="d")
    alone = master_dark(raw=[single], bias=bias, params=DarkParams(order=0)).dark_model
    assert np.sqrt(alone.variance[0, 0]) / 60.0 > 2.5 * np.sqrt(7.0 / (29 * HIGH))


def test_a_dark_of_any_age_tells_hot_pixels_and_not_the_current():
    assert any(match.level == 3 for match in DARK.ladder)
    assert all(match.level < 3 and match.days[1] <= 60.0 for match in DARK_MODEL.ladder if "night" not in match.same)

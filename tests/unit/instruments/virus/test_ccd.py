"""Amplifiers as they lie on the chip: orientation by the header, bias level, dead read-outs."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.instruments.virus.ccd import HALF, read_ccd, read_half

# (amplifier, AMPNAME) -> whether rows and columns of the raw image run the other way (instruments/virus.md)
TURNED = {
    ("LL", "LL"): (False, False),
    ("RU", "UR"): (False, False),
    ("LU", "UR"): (True, True),
    ("RL", "LL"): (True, True),
    ("LL", "LR"): (False, True),
    ("RU", "UL"): (False, True),
    ("LU", "UL"): (True, False),
    ("RL", "LR"): (True, False),
}


def raw_half(
    amp: str, name: str = "", *, light: np.ndarray | float = 0.0, noise: float = 2.0, seed: int = 1
) -> RawFrame:
    """Draw a raw amplifier frame."""
    noise, rng = 2.0, np.random.default_rng(seed)
    image = 1100.0 + rng.normal(0.0, noise, (HALF, HALF + 32))
    image += 0.8 * np.sin(np.arange(HALF) / 150.0)[:, None]
    image[:, :HALF] += light
    meta = {"CCDPOS": amp[0], "CCDHALF": amp[1], "AMPNAME": name, "GAIN": 1.2, "RDNOISE": 1.2 * noise, "IFUSLOT": 47}
    file = f"20190204T220000.3_047{amp}_zro"
    return RawFrame(file, "ZERO", meta, {"": np.round(image).astype(np.float32)}, {})


@pytest.mark.parametrize(("amp", "name"), TURNED)
def test_orientation_follows_the_header(amp: str, name: str) -> None:
    light = np.zeros((HALF, HALF))
    light[100, 200] = 5000.0
    half = read_half(raw_half(amp, name, light=light))
    y, x = np.unravel_index(np.argmax(half.data), half.data.shape)
    rows, columns = TURNED[amp, name]
    assert (y, x) == (HALF - 1 - 100 if rows else 100, HALF - 1 - 200 if columns else 200)


def test_level_and_its_drift_are_taken_off_and_gain_applied() -> None:
    half = read_half(raw_half("LL", light=100.0))
    rows = half.data.reshape(43, 24, HALF).mean(axis=(1, 2))
    np.testing.assert_allclose(rows, 120.0, atol=0.3)
    assert half.level == pytest.approx(1100.0, abs=1.0)


def test_halves_stand_as_on_the_chip() -> None:
    left, _ = read_ccd([raw_half("LU", light=50.0), raw_half("LL", light=10.0)])
    assert np.median(left.data[:HALF]) < np.median(left.data[HALF:])
    right, _ = read_ccd([raw_half("RU", light=50.0), raw_half("RL", light=10.0)])
    assert np.median(right.data[:HALF]) > np.median(right.data[HALF:])


def test_a_dead_read_out_is_named_and_the_other_half_goes_on() -> None:
    dead = raw_half("LU")
    dead.images[""][:] = 65535.0
    frame, caveats = read_ccd([raw_half("LL"), dead])
    assert "dead read-out of amplifier LU" in caveats[0]
    assert np.isfinite(frame.data[:HALF]).all()
    assert np.isnan(frame.data[HALF:]).all()
    assert (frame.flags[HALF:] & Flag.BAD_PIXEL).all()
    with pytest.raises(BadData, match="dead read-out"):
        read_ccd([dead])


def test_a_binned_frame_is_refused() -> None:
    frame = raw_half("LL")
    with pytest.raises(BadData, match="binned"):
        read_half(RawFrame(frame.name, frame.tag, frame.meta, {"": frame.data[:, ::2]}, {}))

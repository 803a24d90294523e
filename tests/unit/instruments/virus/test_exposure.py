"""Several exposures of a lamp made one: shot noise is no hit, hits are."""

from __future__ import annotations

import numpy as np

from tracecube.core.frame import Frame, RawFrame
from tracecube.instruments.virus.ccd import HALF
from tracecube.instruments.virus.exposure import combined

GAIN, NOISE = 1.2, 2.5


def flat(number: int, light: np.ndarray, hits: np.ndarray) -> RawFrame:
    """Draw amplifier LL of one exposure: electrons (HALF, HALF), hits (k, 2) of 3000 electron."""
    rng = np.random.default_rng(number)
    image = 1100.0 + rng.normal(0.0, NOISE / GAIN, (HALF, HALF + 32))
    charge = rng.poisson(light).astype(float)
    charge[hits[:, 0], hits[:, 1]] += 3000.0
    image[:, :HALF] += charge / GAIN
    meta = {"CCDPOS": "L", "CCDHALF": "L", "GAIN": GAIN, "EXPTIME": 60.0, "DARKTIME": 60.0}
    name = f"20190204T22000{number}.3_047LL_flt"
    return RawFrame(name, "FLAT", meta, {"": np.round(image).astype(np.float32)}, {})


def test_the_mean_of_lamps_has_the_noise_of_their_light() -> None:
    rows = np.arange(HALF)[:, None]
    light = np.broadcast_to(20.0 + 400.0 * np.cos(rows * np.pi / 8.76) ** 2, (HALF, HALF))
    hits = np.random.default_rng(9).integers(3, HALF - 3, (40, 2))
    shape = (2 * HALF, HALF)
    dark = Frame(
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.int32),
        {"RN LL": NOISE, "LEVEL LL": 0.0, "DARK LL": 0.0},
    )
    mean, _ = combined([flat(1, light, hits), flat(2, light, hits[:0])], dark)
    noise = np.sqrt(0.5 * (NOISE**2 + GAIN**2 / 12.0 + light))
    pull = (mean.data[:HALF] - light) / noise
    clear = np.ones((HALF, HALF), bool)
    clear[hits[:, 0], hits[:, 1]] = False
    assert abs(pull[clear].std() - 1.0) < 0.01
    assert abs(pull[clear].mean()) < 0.03
    assert np.abs(pull[~clear]).max() < 6.0 * 2.0**0.5  # one exposure is left

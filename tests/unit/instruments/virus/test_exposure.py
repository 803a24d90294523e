"""Several exposures of a lamp made one: shot noise is no hit, hits are."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_a_mean_knows_where_an_exposure_was_left_out() -> None:
    light = np.full((HALF, HALF), 200.0)
    rows, columns = np.indices((HALF, HALF))
    hits = np.argwhere(((rows % 8) == 3) & ((columns % 8) == 3))
    shape = (2 * HALF, HALF)
    none = np.zeros(shape, np.float32)
    dark = Frame(none, none, none.astype(np.int32), {"RN LL": NOISE, "LEVEL LL": 0.0, "DARK LL": 0.0})
    mean, _ = combined([flat(1, light, hits), flat(2, light, hits[:0])], dark)
    hit = np.zeros((HALF, HALF), bool)
    hit[hits[:, 0], hits[:, 1]] = True
    # variance is that besides the shot noise of a mean of all
    sigma = np.sqrt(mean.variance[:HALF] + light / mean.meta["NCOMBINE"])
    pull = (mean.data[:HALF] - light) / sigma
    assert pull[hit].std() == pytest.approx(1.0, abs=0.03)
    assert pull[~hit].std() == pytest.approx(1.0, abs=0.01)


def half(number: int, amp: str, light: float, *, dead: bool = False) -> RawFrame:
    """Draw one amplifier of an exposure under even light, or one whose read-out failed."""
    one = flat(number, np.full((HALF, HALF), light), np.zeros((0, 2), int))
    meta = {**one.meta, "CCDHALF": amp[1]}
    image = np.full((HALF, HALF + 32), 65535.0, np.float32) if dead else one.data
    return RawFrame(one.name.replace("047LL", f"047{amp}"), "FLAT", meta, {"": image}, {})


def dark_of_both() -> Frame:
    none = np.zeros((2 * HALF, HALF), np.float32)
    cards = {f"{key} {amp}": value for amp in ("LL", "LU") for key, value in (("RN", NOISE), ("LEVEL", 0.0))}
    return Frame(none, none, none.astype(np.int32), {**cards, "DARK LL": 0.0, "DARK LU": 0.0})


def test_an_amplifier_that_failed_in_one_exposure_is_that_of_the_others() -> None:
    given = [half(k, amp, 200.0, dead=(k, amp) == (2, "LU")) for k in (1, 2, 3) for amp in ("LL", "LU")]
    mean, notes = combined(given, dark_of_both())
    assert any("dead read-out of amplifier LU" in note for note in notes)
    lower, upper = mean.data[:HALF], mean.data[HALF:]
    assert np.median(upper) == pytest.approx(200.0, abs=1.0)
    assert upper.std() / lower.std() == pytest.approx((3.0 / 2.0) ** 0.5, rel=0.03)
    assert mean.meta["NCOMBINE"] == 2


@pytest.mark.parametrize("off", [1, 2])
def test_an_exposure_without_light_is_left_out(off: int) -> None:
    given = [half(k, "LL", 3.0 if k == off else 900.0) for k in (1, 2)]
    mean, notes = combined(given, dark_of_both())
    assert np.median(mean.data[:HALF]) == pytest.approx(900.0, abs=2.0)
    [note] = [note for note in notes if "left out" in note]
    assert f"T22000{off}.3_047LL_flt: 0.00 of the light of the other exposures" in note


def test_a_frame_without_exposure_time_costs_itself_alone() -> None:
    lame = half(2, "LL", 200.0)
    lame = RawFrame(lame.name, lame.tag, {k: v for k, v in lame.meta.items() if "TIME" not in k}, lame.images, {})
    mean, notes = combined([half(1, "LL", 200.0), lame], dark_of_both())
    assert np.median(mean.data[:HALF]) == pytest.approx(200.0, abs=2.0)
    assert any("T220002.3_047LL_flt" in note and "EXPTIME" in note for note in notes)

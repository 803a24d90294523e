"""Amplifiers as they lie on the chip: orientation by the header, bias level, dead read-outs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.instruments.virus.ccd import HALF, read_ccd, read_half
from tracecube.io.raw import read_raw

REAL = Path(__file__).parents[4].parent / "shared/real/virus/bias"

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
    rng = np.random.default_rng(seed)
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


def test_the_wave_of_each_read_out_is_taken_off_under_light() -> None:
    """Light covers what 160 rows would tell: fibres 8.76 px apart, with a gap after the first 36."""
    y, x = np.mgrid[0:HALF, 0 : HALF + 32]
    wave = 0.8 * np.sin(0.83 * x + 0.4) + 0.5 * np.sin(2.0 * np.pi * (0.2713 * y + 0.4766 * x))
    light = 30.0 * np.exp(-0.5 * ((y[:, :HALF] % 8.76 - 4.4) / 1.7) ** 2) * (1.0 + 0.5 * np.sin(x[:, :HALF] / 40.0))
    light[320:345] = 0.0
    clean = raw_half("LL", light=np.random.default_rng(2).poisson(light), seed=4)
    frame = RawFrame(clean.name, clean.tag, clean.meta, {"": np.round(clean.data + wave).astype(np.float32)}, {})
    with_, without = read_half(frame), read_half(clean)
    # whole counts are rounded in both: two errors of 0.29 adu a pixel, none of them a wave
    left = with_.data - without.data
    assert np.std(left) == pytest.approx(1.2 * (1.0 / 12.0) ** 0.5, abs=0.06)
    assert abs(np.std(left.mean(axis=0))) < 0.06
    assert with_.wave == pytest.approx(1.2 * np.hypot(0.8, 0.5) / 2.0**0.5, rel=0.05)
    assert without.wave == 0.0
    assert with_.noise == pytest.approx(without.noise, rel=0.01)


def test_the_error_of_the_rows_is_that_of_their_levels() -> None:
    excess = []
    for seed in range(6):
        half = read_half(raw_half("LL", seed=seed))
        excess.append(np.std(half.data.mean(axis=1)) ** 2 - half.noise**2 / HALF)
        assert half.row_error < 0.1
    assert np.mean(excess) ** 0.5 == pytest.approx(half.row_error, rel=0.35)


def test_too_much_light_and_a_dead_overscan_are_told_apart() -> None:
    light = np.zeros((HALF, HALF))
    light[:, :400] = 1e6
    bright = raw_half("LL", light=light)
    np.minimum(bright.images[""], 65535.0, out=bright.images[""])
    with pytest.raises(
        BadData, match=r"20190204T220000.3_047LL_zro: amplifier LL is saturated: 38 per cent .*less time"
    ):
        read_half(bright)
    dead = raw_half("LL")
    dead.images[""][:, HALF:] = 65535.0
    with pytest.raises(BadData, match="dead read-out of amplifier LL"):
        read_half(dead)


def test_saturated_columns_are_flagged_and_the_rest_is_as_without_them() -> None:
    light = np.zeros((HALF, HALF))
    light[300:, 200:215] = 1e6
    frame = raw_half("LL", light=light)
    np.minimum(frame.images[""], 65535.0, out=frame.images[""])
    half, plain = read_half(frame), read_half(raw_half("LL"))
    full = (half.flags & Flag.SATURATED) != 0
    assert full[300:, 200:215].all()
    assert full.sum() == 732 * 15
    np.testing.assert_allclose(half.data[~full], plain.data[~full], atol=0.05)


def test_without_overscan_a_frame_is_refused_by_name() -> None:
    frame = raw_half("LL")
    with pytest.raises(BadData, match=r"20190204T220000.3_047LL_zro: image of \(1032, 1032\) pixels"):
        read_half(RawFrame(frame.name, frame.tag, frame.meta, {"": frame.data[:, :HALF]}, {}))


@pytest.mark.skipif(not REAL.is_dir(), reason="real frames are not here")
@pytest.mark.parametrize("amp", ["RL", "RU"])
def test_real_amplifiers_read_with_the_noise_of_their_header(amp: str) -> None:
    half = read_half(read_raw(REAL / f"20180522T023753.4_053{amp}_zro.fits.gz", "ZERO"))
    assert half.noise == pytest.approx(float(half.meta["RDNOISE"]), rel=0.03)
    # the frequencies of the controller's interference are the same in both
    assert 0.3 < half.wave < 0.8


@pytest.mark.skipif(not REAL.is_dir(), reason="real frames are not here")
@pytest.mark.parametrize("amp", ["LL", "LU"])
def test_real_dead_amplifiers_are_refused_by_name(amp: str) -> None:
    with pytest.raises(BadData, match=f"20180522T023753.4_053{amp}_zro: dead read-out of amplifier {amp}"):
        read_half(read_raw(REAL / f"20180522T023753.4_053{amp}_zro.fits.gz", "ZERO"))


def test_a_read_out_that_holds_no_noise_but_that_of_rounding_is_dead() -> None:
    for step in (0.0, 0.3):  # adu: counts that never change, and counts that change between two neighbours
        rng = np.random.default_rng(3)
        frame = raw_half("LL")
        image = np.round(1000.5 + step * rng.normal(size=frame.data.shape)).astype(np.float32)
        image[5, 5:8] = 40000.0  # a hit
        with pytest.raises(BadData, match=r"dead read-out of amplifier LL: its overscan scatters by 0\.\d\d adu"):
            read_half(
                RawFrame(frame.name, frame.tag, frame.meta, {"": image + (step == 0.0) * (np.arange(1064) == 1060)}, {})
            )


def test_a_half_without_a_card_that_it_needs_does_not_cost_the_other() -> None:
    lame, zero = raw_half("LU"), raw_half("LU")
    frame, caveats = read_ccd([raw_half("LL"), replace(lame, meta={**lame.meta, "GAIN": None})])
    assert "20190204T220000.3_047LU_zro: header card GAIN is None" in caveats[0]
    assert np.isfinite(frame.data[:HALF]).all()
    assert np.isnan(frame.data[HALF:]).all()
    with pytest.raises(BadData, match="GAIN is 0 electron per adu"):
        read_half(replace(zero, meta={**zero.meta, "GAIN": 0.0}))


def test_of_two_frames_of_one_amplifier_one_counts_and_the_other_is_named() -> None:
    first, again = raw_half("LL", light=10.0), raw_half("LL", light=90.0)
    again = replace(again, name="a_second_047LL_zro", meta={**again.meta, "REPEAT": True})
    frame, caveats = read_ccd([again, first])
    assert np.median(frame.data[:HALF]) == pytest.approx(12.0, abs=1.0)
    assert caveats[0].startswith("a_second_047LL_zro: LL of this exposure is 20190204T220000.3_047LL_zro")


def test_a_cube_is_no_amplifier() -> None:
    frame = raw_half("LL")
    with pytest.raises(BadData, match="an amplifier has"):
        read_half(replace(frame, images={"": np.stack([frame.data, frame.data])}))


def test_a_frame_of_zeros_is_a_dead_read_out() -> None:
    frame = raw_half("LL")
    with pytest.raises(BadData, match="dead read-out of amplifier LL: its whole overscan reads 0"):
        read_half(replace(frame, images={"": np.zeros_like(frame.data)}))


def test_what_one_header_lacks_of_the_exposure_is_the_other_s_and_said() -> None:
    whole = {"EXPTIME": 360.0, "DARKTIME": 380.0, "DITHER": 2}
    lower, upper = raw_half("LL"), raw_half("LU")
    upper = replace(upper, meta={**upper.meta, **whole})
    frame, [caveat] = read_ccd([replace(lower, meta={**lower.meta, "EXPTIME": 360.0}), upper])
    assert {key: frame.meta[key] for key in whole} == whole
    assert caveat.startswith("20190204T220000.3_047LL_zro: no DARKTIME, DITHER: taken from 20190204T220000.3_047LU_zro")
    _, caveats = read_ccd([replace(lower, meta={**lower.meta, **whole}), upper])
    assert caveats == ()

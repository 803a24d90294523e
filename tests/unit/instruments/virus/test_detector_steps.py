"""What zeros and darks tell of a CCD: of the observatory's own frames, and of drawn ones with faults among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.instruments.virus.ccd import HALF
from tracecube.instruments.virus.detector_steps import master_dark
from tracecube.instruments.virus.exposure import calibrate_ccd
from tracecube.io.raw import read_raw
from tracecube.recipes.detector.structure import StructureParams

REAL = Path(__file__).parents[4].parent / "shared/real/virus/bias"
GAIN, NOISE = 1.2, 2.6


def read(kind: str, number: int, amp: str, *, seconds: float = 0.0, light: np.ndarray | float = 0.0) -> RawFrame:
    """Draw one read-out, with a wave and a drift of its own."""
    rng = np.random.default_rng([number, *amp.encode(), *kind.encode()])
    y, x = np.mgrid[0:HALF, 0 : HALF + 32]
    image = 1100.0 + 0.5 * np.sin(y / 180.0 + rng.uniform(0.0, 6.0))
    image += 0.7 * np.sin(0.83 * x + 1.4 * y + rng.uniform(0.0, 6.0))
    image += rng.normal(0.0, NOISE / GAIN, image.shape)
    image[:, :HALF] += (0.8 * np.exp(-x[:, :HALF] / 12.0) + rng.poisson(seconds * 1e-3, (HALF, HALF)) + light) / GAIN
    meta = {
        "CCDPOS": amp[0],
        "CCDHALF": amp[1],
        "GAIN": GAIN,
        "RDNOISE": NOISE,
        "EXPTIME": seconds,
        "DARKTIME": seconds,
    }
    meta |= {"IFUSLOT": 47, "SPECID": 308, "IFUID": "024", "CONTID": "S/N 0087"}
    name = f"20190204T2200{number:02d}.3_047{amp}_{kind}"
    return RawFrame(name, {"zro": "ZERO", "drk": "DARK", "sci": "SCIENCE"}[kind], meta, {"": np.round(image)}, {})


def frames(amps: tuple[str, ...]) -> list[RawFrame]:
    zeros = [read("zro", n, amp) for n in range(3) for amp in amps]
    return zeros + [read("drk", 10 + n, amp, seconds=360.0) for n in range(2) for amp in amps]


def numbers(made) -> dict[str, float]:
    return {one.name: one.value for one in made.quality}


@pytest.fixture(scope="module")
def dark():
    return master_dark(raw=frames(("LL", "LU")), params=StructureParams())


def test_noise_current_and_waves_are_measured(dark) -> None:
    found = numbers(dark)
    expected = (NOISE**2 + GAIN**2 / 12.0) ** 0.5
    for amp in ("LL", "LU"):
        assert found[f"READ NOISE {amp}"] == pytest.approx(expected, rel=0.005)
        assert found[f"INTERFERENCE {amp}"] == pytest.approx(0.7 * GAIN / 2.0**0.5, rel=0.05)
        assert found[f"DARK {amp}"] == pytest.approx(1e-3, abs=4e-4)
    assert not dark.caveats


def test_pulls_of_an_exposure_without_light_are_of_unit_width(dark) -> None:
    frame, notes = calibrate_ccd([read("sci", 40, amp, seconds=360.0) for amp in ("LL", "LU")], dark.master_dark)
    assert not notes
    good = frame.flags == 0
    assert good.mean() > 0.999
    pull = np.where(good, frame.data / np.sqrt(frame.variance), 0.0)
    assert pull[good].std() == pytest.approx(1.0, abs=0.01)
    # over seven rows, as a fibre adds them up, and still so though the errors of rows are the same along them
    seven = pull[: 294 * 7].reshape(294, 7, HALF).sum(axis=1) / 7.0**0.5
    assert seven.std() == pytest.approx(1.0, abs=0.02)


def test_an_exposure_noisier_than_its_zeros_says_so_and_keeps_its_own_noise(dark) -> None:
    one = read("sci", 41, "LL", seconds=360.0)
    loud = np.random.default_rng(5).normal(0.0, 2.0, one.data.shape)
    noisy = RawFrame(one.name, one.tag, one.meta, {"": np.round(one.data + loud)}, {})
    frame, [note] = calibrate_ccd([noisy], dark.master_dark)
    assert "amplifier LL reads with 3." in note
    assert one.name in note
    pull = (frame.data / np.sqrt(frame.variance))[:HALF][frame.flags[:HALF] == 0]
    assert pull.std() == pytest.approx(1.0, abs=0.02)


def test_a_dead_amplifier_and_a_frame_of_another_size_are_named_and_the_rest_is_used() -> None:
    raw = frames(("RU", "RL"))
    full = [RawFrame(f.name, f.tag, f.meta, {"": np.full_like(f.data, 65535.0)}, {}) for f in raw if "RL" in f.name]
    raw = [f for f in raw if "RL" not in f.name] + full
    raw[0] = RawFrame(raw[0].name, raw[0].tag, raw[0].meta, {"": raw[0].data[::2]}, {})
    made = master_dark(raw=raw, params=StructureParams())
    text = " | ".join(made.caveats)
    assert "dead read-out of amplifier RL: 100 per cent" in text
    assert f"{raw[0].name}: image of (516, 1064) pixels" in text
    assert np.isfinite(made.master_dark.data[:HALF]).all()
    assert (made.master_dark.flags[HALF:] & Flag.BAD_PIXEL).all()
    assert numbers(made)["READ NOISE RU"] == pytest.approx(NOISE, rel=0.02)


@pytest.mark.skipif(not REAL.is_dir(), reason="real frames are not here")
def test_real_zeros_read_with_the_noise_of_their_headers() -> None:
    raw = [read_raw(REAL / f"20180522T023753.4_053{amp}_zro.fits.gz", "ZERO") for amp in ("RL", "RU")]
    made = master_dark(raw=raw, params=StructureParams())
    for frame in raw:
        amp = f"{frame.meta['CCDPOS']}{frame.meta['CCDHALF']}"
        assert numbers(made)[f"READ NOISE {amp}"] == pytest.approx(float(frame.meta["RDNOISE"]), rel=0.03)


@pytest.mark.skipif(not REAL.is_dir(), reason="real frames are not here")
def test_real_dead_amplifiers_leave_nothing_and_are_named() -> None:
    raw = [read_raw(REAL / f"20180522T023753.4_053{amp}_zro.fits.gz", "ZERO") for amp in ("LL", "LU")]
    with pytest.raises(BadData, match=r"20180522T023753.4_053LL_zro: dead read-out of amplifier LL: 79 per cent"):
        master_dark(raw=raw, params=StructureParams())

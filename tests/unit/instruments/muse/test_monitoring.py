"""What is watched over the years, on a low detector of full width: gain, linearity, light against the photodiode."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.instruments.muse import raw_channel
from tests.unit.instruments.muse.raw_channel import GAIN, NOISE, raw
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.frame import RawFrame
from tracecube.core.slices import SliceTraces, SliceWavelengths
from tracecube.instruments.muse.detector_steps import BiasParams, master_bias
from tracecube.instruments.muse.monitoring_steps import (
    LevelParams,
    ThroughputParams,
    diode_throughput,
    linearity_and_gain,
    linearity_level,
)
from tracecube.recipes.detector.photon_transfer import TransferParams

HIGH, WIDE = 128, 2048  # of an output
SLICES = 48
SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 12.0)
CENTRE = 60.0 + 84.0 * np.arange(SLICES)
HALF = 38.0
ELECTRON = 1.602176634e-19  # coulomb


@pytest.fixture(scope="module")
def wide():
    """Raw images of full width, and a bias of three of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw_channel, "HIGH", HIGH)
        patch.setattr(raw_channel, "WIDE", WIDE)
        rng = np.random.default_rng(1)
        yield master_bias(raw=[raw(rng, name=f"bias{k}") for k in range(3)], params=BiasParams()).master_bias


def lit(electrons: float) -> np.ndarray:
    """Light of a lamp in all slices (y, x)."""
    x = np.arange(2 * WIDE)
    inside = (np.abs(x[:, None] - CENTRE[None, :]) <= HALF).any(axis=1)
    return np.where(inside, electrons, 0.0)[None, :] * np.ones((2 * HIGH, 1))


@pytest.mark.parametrize("darkest", [0.65, 1.0])
def test_gain_and_read_noise_follow_from_exposures_of_many_lengths(wide, darkest):
    """Where all slices are as bright, nothing tells a bent detector from a lamp that fades: errors have it."""
    rng, levels = np.random.default_rng(2), []
    across = np.interp(np.arange(2 * WIDE), [0, WIDE, 2 * WIDE], [darkest, 1.0, darkest])
    for k, seconds in enumerate(SECONDS):
        light = lit(3000.0 * (seconds + 0.018)) * across
        told = {"EXPTIME": seconds, "MJD-OBS": 58500.0 + 0.01 * k}
        pair = [raw(rng, light, name=f"on{k}{i}", **told) for i in range(2)]
        made = linearity_level(raw=pair, bias=wide, params=LevelParams())
        assert made.linearity_level.seconds == seconds
        levels.append(made.linearity_level)
    found = linearity_and_gain(levels=levels, params=TransferParams()).nonlinearity_gain
    assert found.output.tolist() == [1, 2, 3, 4]
    numbers = (found.output, found.gain, found.gain_error, found.noise, found.noise_error)
    for output, gain, error, noise, spread in zip(*numbers, strict=True):
        assert gain == pytest.approx(GAIN[output], abs=4.0 * error)
        assert bool(error < 0.005 * gain) is (darkest < 1.0)
        assert not abs(noise - NOISE[output]) > 4.0 * spread
    assert np.abs(found.coefficient.sum(axis=1)).max() < 0.02  # the detector is linear


def test_a_lamp_that_is_off_lights_no_slice(wide):
    dark = [raw(np.random.default_rng(k), name=f"off{k}", EXPTIME=1.0, **{"MJD-OBS": 58500.0}) for k in range(2)]
    with pytest.raises(BadData, match="not all slices are lit"):
        linearity_level(raw=dark, bias=wide, params=LevelParams())


def traces() -> SliceTraces:
    centre = np.broadcast_to(CENTRE[:, None], (SLICES, 2 * HIGH)).astype(np.float64)
    zero = np.zeros(SLICES, np.int32)
    return SliceTraces(np.arange(1, SLICES + 1, dtype=np.int32), zero, zero, np.ones(SLICES), centre, centre - HALF,
                       centre + HALF, np.full(centre.shape, 0.01), np.zeros(centre.shape, np.int32))  # fmt: skip


def solution() -> SliceWavelengths:
    """Wavelengths from 4700 to 9300 Angstrom along the low detector; the last slice has none."""
    coefficient, dq = np.zeros((SLICES, 1, 2)), np.zeros(SLICES, np.int32)
    coefficient[:, 0], dq[-1] = (7000.0, 2300.0), 64
    none = [np.zeros(0)] * 10
    return SliceWavelengths(np.arange(1, SLICES + 1, dtype=np.int32), dq, coefficient, np.zeros((SLICES, 2, 2)),
                            np.full(SLICES, 0.01), *none, HIGH - 0.5, HIGH - 0.5, HALF, "AWAV", {})  # fmt: skip


WAVE = np.array([4000.0, 6499.9, 6500.0, 7500.0, 7500.1, 10000.0])
FILTERS = RawFrame("filters", "FILTER_LIST", {}, {}, {
    "PHOTO": {"lambda": WAVE, "throughput": np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0])},
})  # fmt: skip


def seen(wide, *, shares: tuple[float, ...] = (1.0, 1.0, 1.0), filters: RawFrame = FILTERS, **more: object):
    rng, light = np.random.default_rng(3), lit(2000.0)
    told = {"EXPTIME": 4.0, "ESO INS AMPL2 FILTER": "Photo", "ESO INS AMPL2 CURR": 2e-9, **more}
    frames = [raw(rng, share * light, name=f"ampl{k}", **told) for k, share in enumerate(shares)]
    return diode_throughput(
        raw=frames, bias=wide, traces=traces(), wavelengths=solution(), filter_list=filters, params=ThroughputParams()
    )


def test_light_in_the_band_of_the_filter_stands_against_the_current(wide):
    made = seen(wide)
    wave = solution().wave(0, np.arange(2.0 * HIGH), np.zeros(2 * HIGH))
    rows, columns = np.count_nonzero((wave >= 6500.0) & (wave <= 7500.0)), 2 * HALF + 1
    expected = 2e-12 * 4.0 / ELECTRON / 1.1**2
    assert made.throughput.ratio[:-1] == pytest.approx(2000.0 * rows * columns / expected, rel=0.02)
    assert np.isnan(made.throughput.ratio[-1])
    assert made.throughput.dq.tolist() == [0] * (SLICES - 1) + [made.throughput.dq[-1]]
    assert made.throughput.dq[-1]
    assert made.throughput.total == pytest.approx(np.nansum(made.throughput.ratio))
    assert not made.caveats


def test_an_exposure_without_light_does_not_count_against_the_current(wide):
    made = seen(wide, shares=(1.0, 0.02, 1.0))
    assert made.throughput.total == pytest.approx(seen(wide).throughput.total, rel=0.01)
    assert "0.02 of the light" in made.caveats[0]


def test_what_the_header_does_not_tell_is_asked_for(wide):
    with pytest.raises(BadData, match="no current of the photodiode"):
        seen(wide, **{"ESO INS AMPL2 CURR": 0.0})
    with pytest.raises(MissingInput, match="CURR"):
        seen(wide, **{"ESO INS AMPL2 CURR": None})
    with pytest.raises(MissingInput, match="no filter"):
        seen(wide, **{"ESO INS AMPL2 FILTER": "Other"})


def test_a_lamp_that_drifts_with_its_current_is_no_error_of_the_throughput(wide):
    rng, shares = np.random.default_rng(6), (1.0, 0.97, 1.03)
    told = {"EXPTIME": 4.0, "ESO INS AMPL2 FILTER": "Photo"}
    frames = [
        raw(rng, share * lit(2000.0), name=f"ampl{k}", **told, **{"ESO INS AMPL2 CURR": share * 2e-9})
        for k, share in enumerate(shares)
    ]
    made = diode_throughput(
        raw=frames, bias=wide, traces=traces(), wavelengths=solution(), filter_list=FILTERS, params=ThroughputParams()
    )
    wave = solution().wave(0, np.arange(2.0 * HIGH), np.zeros(2 * HIGH))
    rows = np.count_nonzero((wave >= 6500.0) & (wave <= 7500.0))
    truth = 2000.0 * rows * (2 * HALF + 1) / (2e-12 * 4.0 / ELECTRON / 1.1**2)
    found = made.throughput
    assert found.total / (47 * truth) == pytest.approx(1.0, abs=3e-4)
    assert found.total_error < 3e-4 * found.total  # of a drift of three per cent
    pulls = ((found.ratio - truth) / found.error)[:-1]
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.5
    [alone] = seen(wide, shares=(1.0,)).caveats
    assert "one exposure" in alone

"""Wavelengths of an exposure as lines of the sky move them; numbers of the drift."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.flags import Flag
from tracecube.core.optics import TraceSet, WavelengthSolution
from tracecube.instruments.virus.drift import shift_numbers, wavelengths_now
from tracecube.instruments.virus.extraction import AmplifierLight
from tracecube.instruments.virus.sky_lines import SKY_LINES
from tracecube.kernels.lines import line_image

N, M = 40, 1032
WAVE = np.broadcast_to(np.linspace(3470.0, 5540.0, M), (N, M)) + np.linspace(0.0, 3.0, N)[:, None]
DEAD = 5


def amplifier(amp: str, shift: float, seed: int, strength: float) -> tuple[AmplifierLight, WavelengthSolution]:
    rng = np.random.default_rng(seed)
    x = np.array([np.interp(SKY_LINES, row, np.arange(M)) for row in WAVE]) + shift
    light = 90.0 + line_image(x, np.full(x.shape, 1.1), np.full(x.shape, strength), np.zeros(N, np.int64), M)
    flux, flags = light + np.sqrt(light + 60.0) * rng.normal(size=light.shape), np.zeros((N, M), np.int32)
    flux[DEAD], flags[DEAD] = np.nan, int(Flag.NOT_MEASURED)
    zero, dq = np.zeros((N, M)), np.where(np.arange(N) == DEAD, int(Flag.NOT_ILLUMINATED), 0)
    index = np.arange(N)
    traces = TraceSet(index, 0 * index, index, index, dq, zero, zero, flags, np.zeros(3), np.zeros(3))
    solution = WavelengthSolution(
        index, 0 * index, dq, WAVE, zero + 0.004, zero + 1.1, index, WAVE[:, 0], WAVE[:, 0], WAVE[:, 0], WAVE[:, 0], dq,
        medium="AWAV",
    )  # fmt: skip
    return AmplifierLight(amp, traces, flux, light + 60.0, zero, zero, zero, flags, 0.2, 0.001), solution


@pytest.mark.parametrize("shift", [0.05, -0.35, 0.6])
def test_the_light_of_both_amplifiers_tells_one_shift(shift: float) -> None:
    known = [amplifier("RU", shift, 1, 500.0), amplifier("RL", shift, 2, 500.0)]
    notes: list[str] = []
    moved, numbers = wavelengths_now(known, SKY_LINES, 1.5, notes)
    value = {number.name: number.value for number in numbers}
    assert abs(value["FLEXURE DX"] - shift) < 4.0 * value["FLEXURE DX ERROR"]
    assert value["FLEXURE DX ERROR"] < 0.01
    assert not notes
    dispersion = WAVE[0, 1] - WAVE[0, 0]
    for _, solution in moved:
        assert solution.wave - WAVE == pytest.approx(np.full(WAVE.shape, -shift * dispersion), abs=0.04)


def test_what_is_not_measured_or_no_drift_leaves_the_wavelengths_and_is_said() -> None:
    for shift, strength, said in ((0.1, 0.0, "none of the lines"), (1.9, 900.0, "px off the arcs")):
        known = [amplifier("LL", shift, 3, strength)]
        notes: list[str] = []
        moved, _ = wavelengths_now(known, SKY_LINES, 1.5, notes)
        assert said in notes[0]
        assert np.array_equal(moved[0][1].wave, WAVE)


def test_the_shift_across_is_the_mean_of_the_amplifiers_by_their_errors() -> None:
    one, other = (amplifier(amp, 0.0, 4, 0.0)[0] for amp in ("LL", "LU"))
    numbers = {n.name: n.value for n in shift_numbers([one, other], 1.5)}
    assert numbers["FLEXURE DY"] == pytest.approx(0.2)
    assert numbers["FLEXURE DY LL ERROR"] == 0.001

"""Light of the laser that nitrogen and oxygen scatter, over the field of an exposure, by the names of a list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.frame import RawFrame
from tracecube.core.scattered_lines import ScatteredLines
from tracecube.core.slice_light import SliceSky
from tracecube.core.slices import SliceSegments
from tracecube.instruments.muse.raman_steps import RamanParams, raman_light

COUNT, PIECES = 48, 8
META = {"DETECTOR": "CHAN12", "ESO INS MODE": "WFM-AO-N"}
WAVE = np.arange(6400.0, 6900.0, 1.25)
SIGMA, NOISE, GAIN = 1.1, 0.01, 1.1
LIST = RawFrame("lines", "RAMAN_LINES", {}, {}, {"T": {
    "name": np.array(["O2 Q", "N2 Q", "O2 S"]), "lambda": np.array([6484.4, 6827.2, 6500.0]),
    "flux": np.array([3.0, 8.0, 1.0]),
}})  # fmt: skip
TRUE = np.array([[0.0, 0.4, -0.3, 0.0, 0.0, 0.2], [0.0, -0.5, 0.6, 0.1, 0.0, 0.0]])
"""Of nitrogen and of oxygen: in the order of their names."""


def sky() -> SliceSky:
    """A sky whose light is zero; the last slice is lost."""
    none, ones = np.zeros(COUNT), np.ones(COUNT)
    dq = np.zeros(COUNT, np.int32)
    dq[-1] = 64
    return SliceSky(np.zeros(1200), np.array(["CHAN12"] * COUNT), np.arange(1, COUNT + 1), GAIN * ones, none, none,
                    none, none, np.zeros((COUNT, 2)), np.zeros((COUNT, 2)), none, dq, *[np.zeros(0)] * 3,
                    0.0, 0.0, SIGMA, 6350.0, 0.6, META)  # fmt: skip


def segments() -> SliceSegments:
    """Pieces of all slices, spread over the field, that see the lines and objects of all brightness."""
    rng = np.random.default_rng(3)
    n = COUNT * PIECES
    x, y = rng.uniform(-30.0, 30.0, (2, n))
    wave = WAVE + rng.uniform(0.0, 1.25, (n, 1))
    share, group = np.array([1.0, 0.75, 0.25]), np.array([0, 1, 1])
    lines = ScatteredLines(np.array([6827.2, 6484.4, 6500.0]), share, group, np.array([0, 1]), TRUE,
                           np.zeros((2, 6, 6)), SIGMA, 30.0)  # fmt: skip
    light = lines.seen(np.broadcast_to(x[:, None], wave.shape), np.broadcast_to(y[:, None], wave.shape), wave)
    light = GAIN * (light + rng.exponential(0.2, (n, 1))) + rng.normal(0.0, NOISE, wave.shape)
    zero = np.zeros(n)
    return SliceSegments(light, np.full(wave.shape, NOISE**2), wave, np.zeros(wave.shape, np.int32),
                         np.repeat(np.arange(1, COUNT + 1), PIECES), np.tile(np.arange(PIECES), COUNT), x, y, zero,
                         zero, zero, META)  # fmt: skip


def lsf() -> RawFrame:
    """The observatory's profile: Gaussian, on its axes."""
    offset = np.linspace(-7.5, 7.5, 150)
    cube = np.broadcast_to(np.exp(-0.5 * (offset / SIGMA) ** 2), (COUNT, 30, 150))
    axes = {"CRVAL1": -7.5, "CRPIX1": 1.0, "CD1_1": offset[1] - offset[0], "CRVAL2": 4650.0, "CRPIX2": 1.0,
            "CD2_2": 160.0}  # fmt: skip
    return RawFrame("lsf", "LSF_PROFILE", axes, {"LSF_PROFILE": cube}, {})


def found(**more: object):
    given = {"segments": [segments()], "sky": sky(), "raman_lines": LIST, "lsf": [lsf()], **more}
    return raman_light(**given, params=RamanParams())  # type: ignore[arg-type]


def test_each_gas_is_found_over_the_field_with_its_errors():
    made = found()
    assert made.raman.sigma == pytest.approx(SIGMA, abs=0.05)
    error = np.sqrt(np.diagonal(made.raman.covariance, axis1=1, axis2=2))
    assert made.raman.coefficient == pytest.approx(TRUE, abs=0.02)
    assert np.abs((made.raman.coefficient - TRUE) / error).max() < 5.0
    assert not made.caveats
    assert {number.name: number.good for number in made.quality}["RAMAN CHI2 0"]


def test_without_a_line_spread_function_lines_are_as_wide_as_the_skys():
    made = found(lsf=[])
    assert made.raman.sigma == SIGMA
    assert "as wide as those of the sky" in made.caveats[0]


def test_a_list_without_names_is_one_group():
    table = {key: column for key, column in LIST.tables["T"].items() if key != "name"}
    assert found(raman_lines=replace(LIST, tables={"T": table})).raman.number.tolist() == [0]


def test_what_can_not_be_told_is_said():
    with pytest.raises((BadData, MissingInput), match="lambda"):
        found(raman_lines=replace(LIST, tables={"T": {"flux": np.ones(2)}}))
    lost = sky()
    lost.dq[:] = 64
    with pytest.raises(MissingInput, match="too few pieces"):
        found(sky=lost)

"""Arcs of which a lamp is missing: each slice is recognised by the others, and nothing is made up."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.polynomial import legendre

from tracecube.core.frame import Frame, RawFrame
from tracecube.core.slices import SliceTraces
from tracecube.instruments.muse.arc_lines import LAMPS, law, line_list
from tracecube.instruments.muse.simulation import exposing, lsf, readout, tables
from tracecube.instruments.muse.simulation import lamps as lamp_lines
from tracecube.instruments.muse.simulation.exposing import Hardware
from tracecube.instruments.muse.simulation.optics import ROWS, SLICES, State, draw_optics
from tracecube.recipes.optics.slice_lines import first_guess

DAY = State.of_day()
OPTICS = draw_optics(np.random.default_rng([5, *b"optics12"]), 12)
Y = np.arange(ROWS, dtype=np.float64)
SHARES = [0, 1, 2]  # lamps


@pytest.fixture(scope="module")
def arcs() -> tuple[dict[int, Frame], SliceTraces, RawFrame]:
    """Exposures of a channel by lamp, its traces, and the list of lines."""
    rng = np.random.default_rng(2)
    hardware = Hardware(OPTICS, lsf.line_spread(OPTICS), readout.make_chip(np.random.default_rng(8)))
    lines = lamp_lines.line_list(np.random.default_rng(3))
    frames = {}
    for number, name in enumerate(LAMPS):
        light = exposing.arc_light(hardware, DAY, lines.lamps[name], 1.0)
        data = light + rng.normal(0.0, 1.0, light.shape) * np.sqrt(light + 9.0)
        frames[number] = Frame(
            data.astype(np.float32), (light + 9.0).astype(np.float32), np.zeros(light.shape, np.int32), {}
        )
    centre, half = OPTICS.middle(Y, DAY), 0.5 * OPTICS.width[:, None]
    whole = np.zeros(SLICES, np.int32)
    traces = SliceTraces(
        np.arange(1, SLICES + 1, dtype=np.int32), whole, whole, np.ones(SLICES), centre, centre - half, centre + half,
        np.full(centre.shape, 0.001), np.zeros(centre.shape, np.int32),
    )  # fmt: skip
    return frames, traces, tables.line_catalogue(lines)


@pytest.mark.parametrize("lit", [one for n in (1, 2, 3) for one in combinations(SHARES, n)])
def test_every_slice_is_recognised_by_the_lamps_that_there_are(arcs, lit):
    frames, traces, catalogue = arcs
    found = first_guess({lamp: frames[lamp] for lamp in lit}, traces, line_list(catalogue), law, shift=330.0)
    rows = np.linspace(200.0, ROWS - 200.0, 12)
    true = OPTICS.places(rows, np.zeros(1), DAY)[:, :, 0]
    off = legendre.legval(rows / (0.5 * (ROWS - 1)) - 1.0, found.T) - true
    assert np.abs(off).max() < (2.5 if lit == (0,) else 0.6)  # Angstrom: the first of the lamps has a dozen lines

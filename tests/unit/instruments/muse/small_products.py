"""Products of a small detector with two slices, as our recipes make them."""

from __future__ import annotations

import numpy as np

from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.core.slices import SliceTraces, SliceWavelengths

RNG = np.random.default_rng(5)
SHAPE = (400, 120)
Y = np.arange(SHAPE[0])
LEVEL = 0.2  # of the twilight over the lamp


def outputs() -> dict[str, object]:
    """Cards of the four outputs: gains 1.1, 1.2, ...; of a trimmed image of ``SHAPE``."""
    cards: dict[str, object] = {}
    corners = [(1, 1), (SHAPE[1], 1), (SHAPE[1], SHAPE[0]), (1, SHAPE[0])]
    for number, corner in enumerate(corners, start=1):
        values = (*corner, SHAPE[1] // 2, SHAPE[0] // 2, 1.0 + 0.1 * number)
        names = ("X", "Y", "NX", "NY", "GAIN")
        cards |= {f"ESO DET OUT{number} {name}": value for name, value in zip(names, values, strict=True)}
        cards |= {f"RDNOISE{number}": 2.0 + number, f"BIASLEV{number}": 1000.0 + number}
    return cards


META = {
    **outputs(), "DETECTOR": "CHAN07", "INSTRUME": "MUSE", "ESO INS MODE": "WFM-NOAO-N", "SKYLIGHT": LEVEL,
    "RAW1": "MUSE.x", "RAW1TAG": "FLAT", "RAW2": "MUSE.y", "RAW2TAG": "FLAT", "OBJECT": "field", "MJD-OBS": 58500.0,
}  # fmt: skip


def traces() -> SliceTraces:
    """Two slices 30 px wide, bent and tilted."""
    centre = np.array([[30.0], [80.0]]) + 2e-5 * (Y - 150.0) ** 2 + np.array([[0.002], [-0.003]]) * Y
    zero = np.zeros(2, np.int32)
    none = np.zeros(centre.shape)
    return SliceTraces(np.array([1, 2], np.int32), zero, zero, np.full(2, 0.8), centre, centre - 15.0, centre + 15.25,
                       none, none.astype(np.int32), 0, META)  # fmt: skip


def solution(medium: str = "AWAV") -> SliceWavelengths:
    """Some 1.25 Angstrom a pixel, about 7000 Angstrom, curved both ways."""
    coefficient = np.zeros((2, 3, 4))
    coefficient[:, 0] = [[7000.0, 250.0, 1.0, -0.5], [7050.0, 251.0, 1.0, -0.5]]
    coefficient[:, 1, :2] = [1.5, 0.1]
    coefficient[:, 2, 0] = 0.3
    none = [np.zeros(0)] * 10
    return SliceWavelengths(np.array([1, 2], np.int32), np.zeros(2, np.int32), coefficient, np.zeros((2, 4, 4)),
                            np.full(2, 0.01), *none, 199.5, 199.5, 15.0, medium, META)  # fmt: skip


def frame(level: float = 0.0, spread: float = 1.0) -> Frame:
    flags = np.zeros(SHAPE, np.int32)
    flags[3, 4], flags[5, 6] = Flag.HOT_PIXEL, Flag.BAD_PIXEL
    data = RNG.normal(level, spread, SHAPE).astype(np.float32)
    return Frame(data, np.full(SHAPE, 0.25, np.float32), flags, META)

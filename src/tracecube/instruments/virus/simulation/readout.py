"""The CCD and its two amplifiers: response, flaws, cosmic rays, and the counts that are read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray, IntArray
from tracecube.instruments.virus.ccd import HALF, HALVES
from tracecube.instruments.virus.simulation.headers import Unit
from tracecube.simulate.detector import Hits, draw_hits, poisson

__all__ = ["Chip", "collect", "dead_readout", "draw_waves", "make_chip", "read_out"]

OVERSCAN = 32
_PIXEL_UM = 21.2  # side of a square with the area of a binned pixel, 30 x 15 um
_DARK = 1.0e-3  # electron/s
_FULL = 65535
_BLEED = (2.0e-4, 3.0e-5)  # of the last column's charge in the first columns of the overscan


class Chip:
    """Flaws of one CCD (2064, 1032), the same all night.

    Parameters
    ----------
    rng : numpy Generator

    Attributes
    ----------
    columns : int array (n,)
        Columns that lose charge, from a row upwards.
    starts : int array (n,)
    kept : array (n,)
        Share that they keep.
    hot : int array (m, 2)
        Row and column of hot pixels.
    current : array (m,), electron/s
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._seed = int(rng.integers(2**62))
        self.columns, self.starts = rng.integers(5, HALF - 5, 3), rng.integers(0, HALF, 3)
        self.kept = rng.uniform(0.2, 0.85, 3)
        self.hot = np.column_stack([rng.integers(0, 2 * HALF, 60), rng.integers(0, HALF, 60)])
        self.current = rng.exponential(0.6, 60)

    def defects(self) -> tuple[IntArray, IntArray]:
        """Rows and columns of the pixels that lose charge or leak current."""
        traps = [np.arange(start, 2 * HALF) for start in self.starts]
        y = np.concatenate([*traps, self.hot[:, 0]])
        x = np.concatenate([*(np.full(a.size, c) for a, c in zip(traps, self.columns, strict=True)), self.hot[:, 1]])
        return y, x

    def response(self) -> FloatArray:
        """Relative response of the pixels: drawn anew from the same numbers, for 156 of them fill a memory."""
        rng = np.random.default_rng(self._seed)
        made = 1.0 + np.float32(0.007) * rng.standard_normal((2 * HALF, HALF), np.float32)
        for column, start, kept in zip(self.columns, self.starts, self.kept, strict=True):
            made[start:, column] *= np.float32(kept)
        return np.asarray(made)


def make_chip(rng: np.random.Generator) -> Chip:
    """Draw the flaws of a CCD."""
    return Chip(rng)


def collect(chip: Chip, light: FloatArray | None, seconds: float, rng: np.random.Generator) -> tuple[FloatArray, Hits]:
    """Electrons (2064, 1032) gathered in an exposure, and the cosmic rays among them.

    Parameters
    ----------
    chip : Chip
    light : array (2064, 1032) or None
        Expected electrons; None with the shutter closed.
    seconds : float
    rng : numpy Generator
    """
    expected = np.full((2 * HALF, HALF), _DARK * seconds, np.float32)
    if light is not None:
        expected += light * chip.response()
    expected[chip.hot[:, 0], chip.hot[:, 1]] += (chip.current * seconds).astype(np.float32)
    charge = poisson(expected, rng) if seconds else np.zeros_like(expected)
    hits = draw_hits(expected.shape, _PIXEL_UM, seconds + 20.0, rng)  # some gather while the frame is read
    np.add.at(charge, (hits.y, hits.x), hits.electrons.astype(np.float32))
    return charge, hits


def draw_waves(rng: np.random.Generator) -> FloatArray:
    """Draw what else a controller picks up in an exposure: rows (k, 3) of frequencies along y and x, and electrons.

    As in the observatory's zeros of 2018-05-22, slot 053: one frequency of 0.4 to 0.5 electron with its harmonic of
    half of that, and a second one of 0.3; of any direction, the same in all amplifiers of a controller, others in
    each exposure.
    """
    first, second = rng.uniform((-0.5, 0.1), (0.5, 0.4), (2, 2))
    size = rng.uniform(0.4, 0.5)
    return np.array([[*first, size], [*(2.0 * first), 0.5 * size], [*second, 0.3]])


def read_out(
    charge: FloatArray,
    amp: str,
    unit: Unit,
    phase: float,
    level: float,
    rng: np.random.Generator,
    *,
    waves: FloatArray | None = None,
) -> NDArray[np.uint16]:
    """Counts (1032, 1064) of one amplifier, as its controller writes them.

    Parameters
    ----------
    charge : array (2064, 1032), electron
    amp : str
    unit : Unit
    phase : float, radian
        Of the interference that is locked to the columns.
    level : float, adu
        Bias.
    rng : numpy Generator
    waves : array (k, 3)
        Of `draw_waves`.
    """
    start = HALF * HALVES[amp[0]].index(amp)
    gain, noise = unit.gain[amp], unit.noise[amp]
    # From the chip as it lies to the order of reading: LU and RL are turned by half a turn, and the columns once
    # more where AMPNAME is LR or UL.
    rows = -1 if amp in {"LU", "RL"} else 1
    columns = -rows if unit.turned else rows
    read = charge[start : start + HALF][::rows, ::columns]
    counts = np.empty((HALF, HALF + OVERSCAN), np.float32)
    y, x = np.arange(HALF, dtype=np.float32), np.arange(HALF + OVERSCAN, dtype=np.float32)
    settling = 1.5 * np.exp(-x / 12.0) + 0.4 * np.cos(x / 170.0)
    locked = np.float32(1.0 / gain) * np.sin(np.float32(0.83) * x + np.float32(phase))  # about one electron
    counts[:] = level + settling + locked + 0.35 * np.sin(y / 210.0 + phase)[:, None]
    for fy, fx, size in np.zeros((0, 3)) if waves is None else waves:
        across, along = 2.0 * np.pi * fy * np.arange(y.size) + phase, 2.0 * np.pi * fx * np.arange(x.size)
        turning = np.outer(np.cos(across), np.cos(along)) - np.outer(np.sin(across), np.sin(along))
        counts += (size / gain * turning).astype(np.float32)
    counts += rng.standard_normal(counts.shape, np.float32) * np.float32(noise / gain)
    counts[:, :HALF] += read * np.float32(1.0 / gain)
    for column, share in enumerate(_BLEED):
        counts[:, HALF + column] += read[:, -1] * np.float32(share / gain)
    return np.clip(np.rint(counts), 0, _FULL).astype(np.uint16)


def dead_readout() -> NDArray[np.uint16]:
    """What a controller writes that failed."""
    return np.full((HALF, HALF + OVERSCAN), _FULL, np.uint16)

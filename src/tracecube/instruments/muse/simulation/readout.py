"""The CCD of a channel and its four outputs: response, flaws, and the counts that are read."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray, IntArray
from tracecube.instruments.muse.simulation.optics import COLUMNS, ROWS
from tracecube.kernels.compiled import compiled
from tracecube.simulate.detector import Hits, draw_hits

__all__ = ["COVERED", "Chip", "expose", "make_chip"]

COVERED = 32  # px: prescan at the outer edges, overscan of each output towards the middle
_PIXEL_UM = 15.0
_DARK = 1.5 / 3600.0  # electron/s
_FULL = 65535
_GRAIN = 1.0e-3  # step in which the response of pixels is kept
_BLOCK = 128
_BRIGHT = 6.0  # electrons from which noise of photons is drawn as a normal distribution with their skewness


@dataclass(frozen=True)
class Chip:
    """Flaws of one CCD, the same all night; outputs in the order of their numbers, 1 to 4.

    Parameters
    ----------
    gain : array (4,), electron/adu
    noise : array (4,), electron
    level : array (4,), adu
        Bias at the corner that is read first.
    slope : array (4,), adu
        How much it rises to the last row.
    response : int8 array (4112, 4096)
        Of the pixels, in thousandths away from one.
    columns : int array (n, 3)
        Column, first row and last of those that lose charge.
    kept : array (n,)
    hot : int array (m, 2)
        Row and column of pixels that leak.
    current : array (m,), electron/s
    hot_column : int
        That leaks 0.05 electron/s from its middle on.
    """

    gain: FloatArray
    noise: FloatArray
    level: FloatArray
    slope: FloatArray
    columns: IntArray
    kept: FloatArray
    hot: IntArray
    current: FloatArray
    hot_column: int
    response: NDArray[np.int8] = field(repr=False)


def make_chip(rng: np.random.Generator) -> Chip:
    """Draw a CCD with the numbers of the real ones."""
    spread = rng.standard_normal((ROWS, COLUMNS), np.float32)
    spread *= np.float32(0.008 / _GRAIN)
    starts = rng.integers(0, ROWS // 2, 4)
    hot = np.column_stack([rng.integers(0, ROWS, 150), rng.integers(0, COLUMNS, 150)])
    return Chip(
        gain=np.round(rng.uniform(1.03, 1.16, 4), 4),
        noise=np.round(np.clip(rng.normal(2.5, 0.25, 4), 1.95, 3.5), 4),
        level=rng.uniform(1150.0, 1250.0, 4),
        slope=rng.normal(0.0, 1.5, 4),
        columns=np.column_stack([rng.integers(5, COLUMNS - 5, 4), starts, np.where(starts < ROWS // 4, 2055, 4111)]),
        kept=rng.uniform(0.2, 0.85, 4),
        hot=hot,
        current=rng.exponential(0.4, 150),
        hot_column=int(rng.integers(5, COLUMNS - 5)),
        response=np.clip(np.rint(spread), -100, 100).astype(np.int8),
    )


def expose(
    chip: Chip, light: FloatArray | None, seconds: float, rng: np.random.Generator, *, steady: bool = False
) -> tuple[NDArray[np.uint16], Hits]:
    """Counts (4240, 4224) of an exposure, and the cosmic rays in it.

    Parameters
    ----------
    chip : Chip
    light : array (4112, 4096) or None
        Expected electrons, changed on the way; None with the shutter closed.
    seconds : float
    rng : numpy Generator
    steady : bool
        Whether cosmic rays are left out.
    """
    expected = _expected(chip, light, seconds)
    drift = rng.normal(0.0, 0.5, 4)
    raw = np.empty((ROWS + 4 * COVERED, COLUMNS + 4 * COVERED), np.uint16)
    numbers = np.stack([chip.gain, chip.noise, chip.level + drift, chip.slope])
    for start in range(0, raw.shape[0], _BLOCK):
        block = raw[start : start + _BLOCK]
        normal = rng.standard_normal(block.shape, np.float32)
        even = rng.random((block.shape[0], COLUMNS), np.float32)
        _read(block, start, expected, normal, even, numbers)
    hits = draw_hits((ROWS, COLUMNS), _PIXEL_UM, 0.0 if steady else seconds + 20.0, rng)
    y = hits.y + COVERED + 2 * COVERED * (hits.y >= ROWS // 2)
    x = hits.x + COVERED + 2 * COVERED * (hits.x >= COLUMNS // 2)
    output = np.array([[0, 1], [3, 2]])[(hits.y >= ROWS // 2).astype(int), (hits.x >= COLUMNS // 2).astype(int)]
    raw[y, x] = np.minimum(raw[y, x] + np.rint(hits.electrons / chip.gain[output]), _FULL).astype(np.uint16)
    return raw, hits


def _expected(chip: Chip, light: FloatArray | None, seconds: float) -> FloatArray:
    """Electrons (4112, 4096) that gather on average."""
    expected = np.full((ROWS, COLUMNS), _DARK * seconds, np.float32)
    if light is not None:
        expected += light * (1.0 + np.float32(_GRAIN) * chip.response)
        for (column, first, last), kept in zip(chip.columns, chip.kept, strict=True):
            expected[first : last + 1, column] *= np.float32(kept)
    expected[chip.hot[:, 0], chip.hot[:, 1]] += (chip.current * seconds).astype(np.float32)
    expected[ROWS // 4 : ROWS // 2, chip.hot_column] += np.float32(0.05 * seconds)
    return expected


@compiled(fastmath=True)
def _read(  # noqa: PLR0913 - arrays of a kernel
    block: NDArray[np.uint16],
    start: int,
    expected: FloatArray,
    normal: FloatArray,
    even: FloatArray,
    numbers: FloatArray,
) -> None:
    """Read some rows: bias level, photons, noise; whole counts."""
    rows, columns = expected.shape
    covered = (normal.shape[1] - columns) // 4
    half, middle = columns // 2, normal.shape[1] // 2
    for i in range(block.shape[0]):
        y = start + i
        upper = y >= rows // 2 + 2 * covered
        own = (rows + 4 * covered - 1 - y) if upper else y
        row = y - covered - (2 * covered if upper else 0)
        lit = covered <= own < rows // 2 + covered
        for x in range(block.shape[1]):
            right = x >= middle
            q = (2 if right else 3) if upper else (1 if right else 0)
            gain, noise = numbers[0, q], numbers[1, q]
            level = numbers[2, q] + numbers[3, q] * own / (rows // 2)
            column = x - covered - (2 * covered if right else 0)
            charge, spread, skew = 0.0, noise * noise, 0.0
            inside = covered <= x < half + covered or half + 3 * covered <= x < columns + 3 * covered
            if lit and inside:
                mean = expected[row, column]
                if mean > _BRIGHT:
                    charge = mean
                    spread += mean
                    skew = mean / (6.0 * spread)  # third cumulant over 6 variances (Cornish & Fisher 1938)
                elif mean > 0.0:
                    rest, term = even[i, column], np.exp(-mean)
                    while rest > term and charge < 60.0:
                        rest -= term
                        charge += 1.0
                        term *= mean / charge
            z = normal[i, x]
            counts = level + (charge + np.sqrt(spread) * z + skew * (z * z - 1.0)) / gain
            block[i, x] = min(max(int(np.floor(counts + 0.5)), 0), 65535)

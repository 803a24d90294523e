"""Offsets of a detector's outputs and the slow noise of its rows, from pixels that see no light.

Near-infrared arrays are read through many outputs whose levels wander from frame to frame, with a
noise common to all outputs of power ~1/f that shows as stripes along rows (Moseley et al. 2010,
Proc. SPIE 7742, 77421B; Rauscher 2015, PASP 127, 1144). Blind pixels see both and nothing else. Few of them
stand in a row, so the row signal is smoothed as far as it pays: by Stein's unbiased estimate of
the risk (Stein 1981, Ann. Stat. 9, 1135), which needs the noise and no model of the signal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tracecube.kernels.combine import clipped_moments
from tracecube.kernels.rounding import COARSE, rounded_levels

__all__ = ["Stripes", "find_rows", "find_stripes", "smooth_series"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

WIDTHS = (0.0, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 128.0, 256.0)
"""Gaussian smoothing lengths (px) that are tried; 0 keeps each row by itself."""

_CLIP = 5.0  # noises off beyond which a blind pixel is hit or bad
_COARSE_REACH = 3.0  # steps: five noises and more where the scatter is below 0.6
_ROUNDS = 3  # of outputs and rows in turn: each of the two is known to a tenth of the other's error after one


@dataclass(frozen=True)
class Stripes:
    """What the electronics added to a frame.

    Parameters
    ----------
    offsets : array (n_output,)
        Level of each output.
    offset_error : float
        Typical error of a level.
    rows : array (y,)
        Slow signal of the rows, common to all outputs.
    row_error : float
        Root of the estimated mean squared error of ``rows``.
    width : float, px
        Smoothing length along the rows that was found best.
    noise : float
        Standard deviation of a blind pixel about both.
    count : int
        Blind pixels behind ``noise``.
    """

    offsets: F8
    offset_error: float
    rows: F8
    row_error: float
    width: float
    noise: float
    count: int


def smooth_series(values: F8, variance: F8, widths: Sequence[float] = WIDTHS) -> tuple[F8, float, float]:
    """Smooth a noisy series by a Gaussian of the width that makes the expected error least.

    The noise is known (``variance``), so the squared error of each width can be estimated without knowing
    the signal: Stein 1981, theorem 1, for linear smoothers, risk = |s - r|^2 - sum(variance) + 2 sum(variance h_ii).

    Parameters
    ----------
    values : array (n,)
    variance : array (n,)
        Infinite where nothing was measured.
    widths : sequence of float

    Returns
    -------
    smooth : array (n,)
    error : float
        Root of the mean squared error as estimated, not below the noise that the smoothing passes.
    width : float
    """
    known = np.isfinite(variance) & (variance > 0)
    if not known.any():
        raise ValueError("no sample of the series is known")
    weight = np.where(known, 1.0 / np.where(known, variance, 1.0), 0.0)
    filled, noise = np.where(known, values, 0.0), np.where(known, variance, 0.0)
    best: tuple[float, F8, float, float] | None = None
    for width in widths:
        if width == 0.0:
            if not known.all():
                continue
            smooth, own = filled.copy(), np.ones_like(filled)
        else:
            total = ndimage.gaussian_filter1d(weight, width, mode="constant")
            smooth = ndimage.gaussian_filter1d(weight * filled, width, mode="constant") / np.maximum(total, 1e-300)
            own = weight * _peak(width) / np.maximum(total, 1e-300)
        risk = np.mean(((smooth - values) ** 2 + (2.0 * own - 1.0) * noise)[known])
        passed = np.mean((own * noise)[known])
        if best is None or risk < best[0]:
            best = float(risk), smooth, float(np.sqrt(max(risk, passed))), width
    if best is None:
        raise ValueError("samples are missing, and no width bridges them")
    return best[1:]


def _peak(width: float) -> float:
    """Centre of a normalised Gaussian of this width on whole pixels."""
    x = np.arange(-int(4.0 * width + 0.5), int(4.0 * width + 0.5) + 1)
    return float(1.0 / np.exp(-0.5 * (x / width) ** 2).sum())


def find_stripes(
    image: F4,
    outputs: Sequence[tuple[int, int]],
    blind: Mask,
    *,
    step: float = 0.0,
) -> Stripes:
    """Find output levels and row signal of a frame.

    Parameters
    ----------
    image : array (y, x)
        Whatever is not the electronics' is zero on average in blind pixels.
    outputs : sequence of (int, int)
        Columns of each output, first and one past the last; each needs blind pixels.
    blind : bool array (y, x)
        Pixels without light: reference pixels, and others that are known to be dark.
    step : float
        Smallest difference between values; where it is not small against the noise, levels and noise are
        those of rounded samples, and rows are left as they are: nothing can be seen of them.

    Raises
    ------
    ValueError
        An output without a blind pixel.
    """
    y, x = np.nonzero(blind)
    value = np.asarray(image[y, x], np.float64)
    edges = np.array([first for first, _ in outputs])
    output = np.searchsorted(edges, x, side="right") - 1
    count = np.bincount(output, minlength=len(outputs))
    if (count == 0).any():
        raise ValueError(f"output {int(np.argmin(count))} has no blind pixel")
    offsets = np.array([float(np.median(value[output == i])) for i in range(len(outputs))])
    if step > 0.0:
        coarse = _rounded(value, output, offsets, step, image.shape[0])
        if coarse is not None:
            return coarse
    rows, row_error, width = np.zeros(image.shape[0]), 0.0, 0.0
    noise = clipped_moments(value - offsets[output])[1]
    for _ in range(_ROUNDS):
        kept = np.abs(value - offsets[output] - rows[y]) < _CLIP * noise
        rows, row_error, width = _rows(value - offsets[output], y, kept, noise, image.shape[0])
        left = np.where(kept, value - rows[y], 0.0)
        good = np.maximum(np.bincount(output, kept, minlength=len(outputs)), 1)
        offsets = np.bincount(output, left, minlength=len(outputs)) / good
        noise = clipped_moments(value - offsets[output] - rows[y])[1]
    return Stripes(offsets, float(noise / np.sqrt(np.median(good))), rows, row_error, width, noise, int(kept.sum()))


def find_rows(residual: F4, quiet: Mask) -> tuple[F8, float, float]:
    """Find the slow signal of rows alone, where many pixels tell of it.

    Parameters
    ----------
    residual : array (y, x)
        Image less levels of outputs and scene: zero on average in quiet pixels but for the rows.
    quiet : bool array (y, x)

    Returns
    -------
    rows : array (y,)
    error : float
        Root of the estimated mean squared error.
    width : float, px
        Smoothing length that was found best.

    Raises
    ------
    ValueError
        No quiet pixel.
    """
    rows = np.zeros(residual.shape[0])
    error, width = 0.0, 0.0
    noise = clipped_moments(residual[::4][quiet[::4]])[1]
    for _ in range(_ROUNDS - 1):
        left = residual - rows[:, None].astype(np.float32)
        kept = quiet & (np.abs(left) < np.float32(_CLIP * noise))
        count = kept.sum(axis=1)
        mean = np.where(kept, residual, np.float32(0.0)).sum(axis=1, dtype=np.float64) / np.maximum(count, 1)
        rows, error, width = smooth_series(mean, np.where(count > 0, noise**2 / np.maximum(count, 1), np.inf))
    return rows, error, width


def _rounded(value: F8, output: NDArray[np.intp], offsets: F8, step: float, rows: int) -> Stripes | None:
    """Levels and noise where counts are coarse; None where they are not."""
    kept = np.abs(value - offsets[output]) <= _COARSE_REACH * step
    if float(np.std((value - offsets[output])[kept])) > COARSE * step:
        return None
    levels, sigma = rounded_levels(value[kept], output[kept], offsets.size, step)
    total = float(np.hypot(sigma, step / np.sqrt(12.0)))
    error = total / np.sqrt(np.median(np.bincount(output[kept])))
    return Stripes(levels, float(error), np.zeros(rows), 0.0, 0.0, total, int(kept.sum()))


def _rows(value: F8, y: NDArray[np.intp], kept: Mask, noise: float, n: int) -> tuple[F8, float, float]:
    """Smooth the means of the blind pixels of each row."""
    count = np.bincount(y, kept, minlength=n)
    mean = np.bincount(y, np.where(kept, value, 0.0), minlength=n) / np.maximum(count, 1)
    return smooth_series(mean, np.where(count > 0, noise**2 / np.maximum(count, 1), np.inf))

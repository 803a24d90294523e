"""The zero of an exposure's wavelengths: lines of the sky where a list has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.kernels import sky_spline
from tracecube.kernels.gaussian_lines import fit_gaussians
from tracecube.recipes.slices.sky_fit import REFERENCE, SPAN, SkyFit

__all__ = ["Zero", "find_zero"]

_GRID = 0.5  # Angstrom, on which lines are sampled
_HALF = 10  # samples on either side of a line
_NEAR, _SHARE = 4.0, 0.5  # Angstrom, and share of a line's strength that its neighbours so near may have
_BRIGHT = 0.6  # of the list, by strength, is left out as too faint
_FAR = 1.0  # Angstrom, largest displacement from the list
_WIDTH = 1.1  # Angstrom, sigma of a line, first guess


@dataclass(frozen=True)
class Zero:
    """What is to be added to wavelengths: ``shift + stretch z``; and the lines it rests on.

    ``error`` (Angstrom) is that of ``shift``; ``offset`` is the place in the spectrum less that in the list; ``width``
    (Angstrom) the typical sigma of a line.
    """

    shift: float
    stretch: float
    error: float
    wave: FloatArray
    offset: FloatArray
    spread: FloatArray
    width: float


def find_zero(fit: SkyFit, wave: FloatArray, strength: FloatArray, *, least: int = 6) -> Zero | None:
    """Compare lines of the common spectrum with a list; None where fewer than ``least`` can be told.

    A Gaussian is fitted to each line in the spectrum, and to the same line in a spectrum made of the list: neighbours
    move both alike.

    Parameters
    ----------
    fit : SkyFit
    wave : array (m,), Angstrom
        Lines of the list, in the medium of the spectrum.
    strength : array (m,)
    least : int
    """
    order = np.argsort(wave)
    wave, strength = np.asarray(wave, np.float64)[order], np.asarray(strength, np.float64)[order]
    lines = _tellable(wave, strength)
    if lines.size < least:
        return None
    at = wave[lines][:, None] + _GRID * np.arange(-_HALF, _HALF + 1)
    spectrum = sky_spline.derivatives(at.ravel(), fit.coefficient.astype(np.float64), fit.first, fit.step)[0]
    found = _centres(spectrum.reshape(at.shape))
    seen = np.isfinite(found[:, 0])
    if seen.sum() < least:
        return None
    width = np.full(lines.size, float(np.median(found[seen, 1])) * _GRID)
    expected = _centres(_listed(at, wave, strength, width))
    offset = (found[:, 0] - expected[:, 0]) * _GRID
    known = np.isfinite(offset) & (np.abs(offset) < _FAR)
    return _straight(wave[lines][known], offset[known], least, float(width[0])) if known.sum() >= least else None


def _tellable(wave: FloatArray, strength: FloatArray) -> IntArray:
    """Return the bright lines that stand out of what is near them."""
    near = np.abs(wave[:, None] - wave[None, :]) < _NEAR
    np.fill_diagonal(near, False)
    beside = (near * strength[None, :]).sum(axis=1)
    bright = strength >= np.quantile(strength, _BRIGHT)
    return np.flatnonzero(bright & (beside < _SHARE * strength) & (wave > 4800.0) & (wave < 9250.0))


def _listed(at: FloatArray, wave: FloatArray, strength: FloatArray, width: FloatArray) -> FloatArray:
    """Return the spectrum of the list at places (n, k), with lines of the width of each row."""
    made = np.zeros(at.shape)
    for row, places in enumerate(at):
        near = np.flatnonzero((wave > places[0] - 6.0 * width[row]) & (wave < places[-1] + 6.0 * width[row]))
        apart = (places[:, None] - wave[near]) / width[row]
        made[row] = (strength[near] * np.exp(-0.5 * apart**2)).sum(axis=1)
    return made


def _centres(cuts: FloatArray) -> FloatArray:
    level = np.maximum(np.ptp(cuts, axis=1, keepdims=True), 1e-30)
    middle = np.full(len(cuts), float(_HALF))
    return np.asarray(
        fit_gaussians(
            cuts / level, np.ones_like(cuts), np.ones(cuts.shape, bool), middle, np.full(len(cuts), _WIDTH / _GRID)
        )
    )


def _straight(wave: FloatArray, offset: FloatArray, least: int, width: float) -> Zero | None:
    """Draw a straight line through the offsets, those far off left out."""
    z = (wave - REFERENCE) / SPAN
    kept = np.ones(z.size, bool)
    for _ in range(6):
        line = np.polyfit(z[kept], offset[kept], 1)
        left = offset - np.polyval(line, z)
        spread = max(1.4826 * float(np.median(np.abs(left[kept]))), 1e-4)
        kept = np.abs(left) < 3.0 * spread
        if kept.sum() < least:
            return None
    error = spread / float(np.sqrt(kept.sum()))
    return Zero(-float(line[1]), -float(line[0]), error, wave, offset, np.full(z.size, spread), width)

"""The zero of an exposure's wavelengths: lines of the sky where a list has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.kernels import sky_spline
from tracecube.kernels.gaussian_lines import fit_gaussians
from tracecube.recipes.slices.sky_fit import REFERENCE, SPAN, SkyFit

__all__ = ["Zero", "find_zero"]

_GRID = 0.25  # Angstrom, on which lines of the common spectrum are sampled
_HALF = 20  # samples on either side of a line
_ALONE = 6.5  # Angstrom: a neighbour closer than that moves a line's centre
_SHARE = 0.02  # of a line's strength that neighbours may have
_FAR = 1.0  # Angstrom, largest displacement from the list


@dataclass(frozen=True)
class Zero:
    """What is to be added to wavelengths: ``shift + stretch z``; and the lines it rests on.

    ``error`` (Angstrom) is that of ``shift``; ``offset`` is the place in the spectrum less that in the list.
    """

    shift: float
    stretch: float
    error: float
    wave: FloatArray
    offset: FloatArray
    spread: FloatArray


def find_zero(fit: SkyFit, wave: FloatArray, strength: FloatArray, *, least: int = 6) -> Zero | None:
    """Compare lines of the common spectrum with a list; None where fewer than ``least`` stand alone.

    Parameters
    ----------
    fit : SkyFit
    wave : array (m,), Angstrom
        Lines of the list, in the medium of the spectrum.
    strength : array (m,)
    least : int
    """
    order = np.argsort(wave)
    wave, strength = np.asarray(wave)[order], np.asarray(strength)[order]
    near = np.abs(wave[:, None] - wave[None, :]) < _ALONE
    np.fill_diagonal(near, False)
    beside = (near * strength[None, :]).sum(axis=1)
    bright = strength > np.quantile(strength, 0.6)
    lines = np.flatnonzero(bright & (beside < _SHARE * strength) & (wave > 4800.0) & (wave < 9250.0))
    if lines.size < least:
        return None
    at = wave[lines][:, None] + _GRID * np.arange(-_HALF, _HALF + 1)
    spectrum = sky_spline.derivatives(at.ravel(), fit.coefficient, fit.first, fit.step)[0].reshape(at.shape)
    level = np.median(np.abs(spectrum), axis=1, keepdims=True)
    found = fit_gaussians(
        spectrum / level, np.ones_like(at), np.ones(at.shape, bool), np.full(lines.size, float(_HALF)),
        np.full(lines.size, 3.9),
    )  # fmt: skip
    offset = (found[:, 0] - _HALF) * _GRID
    known = np.isfinite(offset) & (np.abs(offset) < _FAR) & (found[:, 2] > 0.3)
    if known.sum() < least:
        return None
    lines, offset = lines[known], offset[known]
    z = (wave[lines] - REFERENCE) / SPAN
    kept = np.ones(z.size, bool)
    for _ in range(6):
        line = np.polyfit(z[kept], offset[kept], 1)
        left = offset - np.polyval(line, z)
        spread = max(1.4826 * float(np.median(np.abs(left[kept]))), 1e-4)
        kept = np.abs(left) < 3.0 * spread
        if kept.sum() < least:
            return None
    error = spread / float(np.sqrt(kept.sum()))
    return Zero(-float(line[1]), -float(line[0]), error, wave[lines], offset, np.full(z.size, spread))

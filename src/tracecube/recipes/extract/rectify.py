"""Spectra on a common wavelength grid: one flux-conserving resampling, with the covariance it makes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.resample import rebin

__all__ = ["Rectified", "rectify"]

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Rectified(NamedTuple):
    """Spectra on a grid, arrays (n, g), densities in wavelength as the spectra were.

    Parameters
    ----------
    flux, variance : array
        0 where ``good`` is False.
    covariance : array
        With the next sample of the spectrum.
    blend : array
        Covariance with the next row.
    good : bool array
    """

    flux: F8
    variance: F8
    covariance: F8
    blend: F8
    good: Mask


def rectify(flux: F8, variance: F8, wave: F8, grid: F8, *, good: Mask, blend: F8 | None = None) -> Rectified:
    """Resample spectra.

    Parameters
    ----------
    flux, variance, wave : array (n, m)
        A density in wavelength at the pixels' wavelengths (Angstrom, rising along each row).
    grid : array (g,), Angstrom
        Centres of the bins, in equal steps.
    good : bool array (n, m)
        Samples that count.
    blend : array (n, m), optional
        Covariance with the next row.
    """
    n, m = flux.shape
    step = float(grid[1] - grid[0])
    pixel, index = np.gradient(wave, axis=1), np.arange(m, dtype=np.float64)
    limits = np.append(grid - 0.5 * step, grid[-1] + 0.5 * step)
    edges = np.stack([_places(limits, row, index) for row in wave])
    light = np.where(good, flux * pixel, np.nan).astype(np.float64)
    spread = np.where(good, variance * pixel**2, 0.0).astype(np.float64)
    out, out_variance, covariance, _ = rebin(light, spread, edges)
    measured = np.isfinite(out)
    shared = np.zeros((n, grid.size))
    if blend is not None and n > 1:
        # What neighbouring rows share has the shape of their own noise: its correlation coefficient is carried over.
        both = good[:-1] & good[1:]
        rho = np.where(both, blend[:-1] / np.sqrt(np.where(both, variance[:-1] * variance[1:], 1.0)), 0.0)
        column = np.clip(np.rint(0.5 * (edges[:-1, 1:] + edges[:-1, :-1])).astype(int), 0, m - 1)
        product = np.where(measured[:-1] & measured[1:], out_variance[:-1] * out_variance[1:], 0.0)
        shared[:-1] = np.take_along_axis(rho, column, axis=1) * np.sqrt(product)
    zero = np.where(measured, out, 0.0)
    whole = np.where(measured, out_variance, 0.0)
    return Rectified(zero / step, whole / step**2, covariance / step**2, shared / step**2, measured)


def _places(limits: F8, wave: F8, index: F8) -> F8:
    """Places of wavelengths in pixels; beyond the ends as if pixels went on."""
    place = np.interp(limits, wave, index)
    below, above = limits < wave[0], limits > wave[-1]
    place[below] = (limits[below] - wave[0]) / (wave[1] - wave[0])
    place[above] = index[-1] + (limits[above] - wave[-1]) / (wave[-1] - wave[-2])
    return np.asarray(place)

"""A spectrum on the even grid of log wavelength where redshift is a shift, without its continuum.

Grid and continuum are those of Tonry and Davis (1979, AJ 84, 1511) as Blondin and Tonry (2007, ApJ 666, 1024) took
them to supernovae: 2500 to 10000 Angstrom, a cubic spline with a knot each twelfth of it. Here the spline is not only
divided by: a matched filter leaves out what it could still take (`template_match`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.ndimage import gaussian_filter1d

__all__ = ["BINS", "HIGH", "LOW", "STEP", "Flattened", "flatten", "grid", "splines", "to_grid"]

F8 = NDArray[np.float64]
Mask = NDArray[np.bool_]

LOW, HIGH, BINS = 2500.0, 10000.0, 512
STEP = float(np.log(HIGH / LOW)) / BINS
"""Width of a bin in log wavelength."""

_KNOTS = 12  # intervals of the continuum's spline over the whole grid
_DEEPEST = 0.05  # of the median flux: the continuum stays above
_FEATURES = 0.2  # strength of features over the continuum, for the weights of its fit
_ROUNDS = 3


class Flattened(NamedTuple):
    """A spectrum over its continuum, less 1.

    Parameters
    ----------
    value, variance : array (BINS,)
        0 and inf where not used.
    continuum : array (BINS,)
        In the units of the spectrum.
    basis : array (BINS, k)
        Splines of the continuum.
    used : bool array (BINS,)
    """

    value: F8
    variance: F8
    continuum: F8
    basis: F8
    used: Mask


def grid() -> F8:
    """Return the wavelengths (BINS,) of the bins' middles, Angstrom."""
    return np.asarray(LOW * np.exp((np.arange(BINS) + 0.5) * STEP))


def to_grid(wave: F8, flux: F8, variance: F8, *, smooth: float = 0.0) -> tuple[F8, F8]:
    """Bring a spectrum to the grid: interpolated where its samples are wider than the bins, averaged where narrower.

    Parameters
    ----------
    wave : array (n,), Angstrom, rising
        Of good samples alone.
    flux, variance : array (n,)
        Per Angstrom.
    smooth : float
        Standard deviation, in log wavelength, of a Gaussian to smooth with.

    Returns
    -------
    flux : array (BINS,)
    variance : array (BINS,)
        Such that the bins together know as much as the samples; not that of smoothed bins. inf where nothing was
        measured.
    """
    places = np.log(wave)
    middles = np.log(grid())
    width = np.gradient(places)
    edges = np.concatenate([middles - STEP / 2, middles[-1:] + STEP / 2])
    total = np.concatenate([[0.0], np.cumsum(flux * width)])
    between = 0.5 * (places[1:] + places[:-1])  # where samples end and begin, beside gaps too
    ends = np.concatenate([places[:1] - width[0] / 2, between, places[-1:] + width[-1] / 2])
    mean = np.diff(np.interp(edges, ends, total)) / STEP
    fine = np.interp(middles, places, width) < STEP
    value = np.where(fine, mean, np.interp(middles, places, flux))
    noise = np.interp(middles, places, variance) * np.interp(middles, places, width) / STEP
    inside = (middles >= places[0]) & (middles <= places[-1])
    gap = np.searchsorted(places, middles).clip(1, len(places) - 1)
    near = np.minimum(np.abs(places[gap] - middles), np.abs(places[gap - 1] - middles))
    measured = inside & (near <= 2.0 * np.maximum(STEP, np.median(width)))
    if smooth > 0.0:
        share = gaussian_filter1d(measured.astype(np.float64), smooth / STEP)
        value = gaussian_filter1d(np.where(measured, value, 0.0), smooth / STEP) / np.maximum(share, 1e-9)
    return np.where(measured, value, 0.0), np.where(measured, noise, np.inf)


def splines(low: float, high: float) -> F8:
    """Return cubic B-splines (BINS, k) between two wavelengths (Angstrom); 0 outside."""
    a, b = np.log(low), np.log(high)
    pieces = max(2, round((b - a) / (np.log(HIGH / LOW) / _KNOTS)))
    knots = np.concatenate([[a] * 3, np.linspace(a, b, pieces + 1), [b] * 3])
    places = np.log(grid())
    inside = (places >= a) & (places <= b)
    basis = np.zeros((BINS, pieces + 3))
    basis[inside] = BSpline.design_matrix(places[inside], knots, 3).toarray()
    return basis


def flatten(flux: F8, variance: F8, low: float, high: float) -> Flattened:
    """Divide a spectrum on the grid by its continuum and take 1 off.

    Parameters
    ----------
    flux, variance : array (BINS,)
        As `to_grid` gives them.
    low, high : float, Angstrom
        Range used.
    """
    places = grid()
    used = np.isfinite(variance) & (variance > 0.0) & (places >= low) & (places <= high)
    basis = splines(max(low, places[used][0]), min(high, places[used][-1]))
    floor = _DEEPEST * float(np.median(np.abs(flux[used])))
    weight = np.where(used, 1.0, 0.0)
    continuum = np.ones(BINS)
    for _ in range(_ROUNDS):
        lines = basis[used] * weight[used, None]
        found = np.linalg.lstsq(lines, flux[used] * weight[used], rcond=None)[0]
        continuum = np.maximum(basis @ found, floor)
        weight[used] = 1.0 / np.sqrt((_FEATURES * continuum[used]) ** 2 + variance[used])
        weight[used] /= weight[used].max()
    value = np.where(used, flux / continuum - 1.0, 0.0)
    return Flattened(value, np.where(used, variance / continuum**2, np.inf), continuum, basis, used)

"""Scattered light of a CCD: its own spectra's light, both amplifiers', convolved with a power law of distance.

The amplitude is measured where no fibre shines, in the slit's gaps and along the edges; beside it each amplifier
may stand on a level of its own (what is left of its bias).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.params import Params
from tracecube.kernels.halo import binned, power_law, refined, spread, transfer

__all__ = ["Halo", "HaloParams", "dark_pixels", "fit_halo", "ground_along", "halo_light", "mirrored", "spread_bins"]

_CLIP = 4.0


class HaloParams(Params):
    """The kernel K(r) = 1 / (softening + steepness (r / scale)**power)."""

    softening: float = Field(0.5, gt=0, description="of the kernel at no distance")
    steepness: float = Field(2.0, gt=0, description="of the kernel's fall")
    scale: float = Field(1.5, gt=0, description="px")
    power: float = Field(1.0, gt=0, le=4, description="of distance by which the kernel falls, if not fitted")
    powers: tuple[float, ...] = Field(
        (), description="powers that are tried on the flat, the best is kept; none: ``power`` as it stands"
    )
    bins: int = Field(4, ge=1, le=24, description="px a side of the bins of the light before it is convolved")
    away: float = Field(7.5, gt=2, description="px from any fibre's centre beyond which a pixel is dark")
    degree: int = Field(5, ge=0, le=8, description="degree along the rows of an amplifier's own ground in an exposure")


@dataclass(frozen=True)
class Halo:
    """Scattered light of a CCD as measured.

    Parameters
    ----------
    amplitude, error : float
        Light scattered over a plane of twice the CCD's sides, as a share of all light.
    power : float
    level, level_error : array (n_amplifier,), electron
        Ground of each amplifier; NaN where it is dead.
    chi2 : float
        Reduced, of the dark pixels.
    """

    amplitude: float
    error: float
    power: float
    level: FloatArray
    level_error: FloatArray
    chi2: float


def mirrored(light: FloatArray, dead: BoolArray) -> FloatArray:
    """Put the mirror image of the live halves (about the border) in place of the dead ones, from the bottom up."""
    halves = np.split(light, len(dead))
    return np.concatenate([halves[len(dead) - 1 - k][::-1] if off else halves[k] for k, off in enumerate(dead)])


def halo_light(light: FloatArray, params: HaloParams, power: float) -> FloatArray:
    """Convolve light (rows, columns) with the kernel of amplitude 1."""
    return refined(spread_bins(binned(np.asarray(light, np.float32), params.bins), params, power), params.bins)


def spread_bins(few: FloatArray, params: HaloParams, power: float) -> FloatArray:
    """Convolve binned light with the kernel of amplitude 1; what comes out is as coarse."""
    shape = (few.shape[0], few.shape[1])
    shaped = (params.softening, params.steepness, params.scale, power)
    return spread(np.asarray(few, np.float32), _transfer(shape, params.bins, shaped))


@lru_cache(maxsize=8)
def _transfer(shape: tuple[int, int], bins: int, shaped: tuple[float, float, float, float]) -> NDArray[np.complex64]:
    """Return the transform of a kernel; an exposure takes that of the last one."""
    softening, steepness, scale, power = shaped
    return transfer(power_law(shape, bins, softening=softening, steepness=steepness, scale=scale, power=power))


def dark_pixels(centre: FloatArray, shape: tuple[int, int], away: float) -> BoolArray:
    """Pixels (rows, columns) farther than ``away`` from every centre (n, columns)."""
    dark = np.ones(shape, bool)
    rows = np.arange(shape[0])
    for x in range(shape[1]):
        at = np.sort(centre[:, x])
        low = np.clip(np.searchsorted(at, rows) - 1, 0, at.size - 1)
        high = np.minimum(low + 1, at.size - 1)
        dark[:, x] = np.minimum(np.abs(rows - at[low]), np.abs(rows - at[high])) > away
    return dark


def ground_along(rest: FloatArray, at: IntArray, variance: FloatArray, about: tuple[int, int]) -> FloatArray:
    """Return what dark pixels hold along the rows of an amplifier (columns,): a Legendre series, hits left out.

    The bias of an amplifier has waves as long as its rows, a tenth of the read noise, whose phase wanders from exposure
    to exposure: the mean of zeros and darks does not hold that of another hour.

    Parameters
    ----------
    rest : array (n,), electron
        What light and scattered light leave in the dark pixels.
    at : int array (n,)
        Their columns.
    variance : array (n,)
    about : (int, int)
        Number of columns, and the degree; it is lower where there are fewer than 64 dark pixels a term.
    """
    columns, degree = about
    terms = min(degree + 1, rest.size // 64)
    if terms < 1:
        return np.zeros(columns)
    basis = legendre.legvander(np.linspace(-1.0, 1.0, columns), terms - 1)
    value, sigma = rest.astype(np.float64), np.sqrt(variance.astype(np.float64))
    curve = np.full(columns, np.median(value))
    for _ in range(3):
        use = np.abs(value - curve[at]) < _CLIP * sigma
        weight = np.bincount(at[use], 1.0 / sigma[use] ** 2, columns)
        sums = np.bincount(at[use], value[use] / sigma[use] ** 2, columns)
        matrix = (basis * weight[:, None]).T @ basis
        curve = basis @ (np.linalg.pinv(matrix, rcond=1e-10, hermitian=True) @ (basis.T @ sums))
    return curve


def fit_halo(
    rest: FloatArray, ivar: FloatArray, light: FloatArray, params: HaloParams, *, dead: BoolArray
) -> tuple[Halo, FloatArray]:
    """Fit amplitude and levels to dark pixels.

    Parameters
    ----------
    rest : array (rows, columns), electron
        What the fibres' own footprints leave.
    ivar : array (rows, columns)
        0 where a pixel is bad or not dark.
    light : array (rows, columns), electron
        The fibres' own light, of all amplifiers.
    params : HaloParams
    dead : bool array (n_amplifier,)
        From the bottom up.

    Returns
    -------
    Halo
    array (rows, columns)
        Scattered light with the levels.
    """
    best: tuple[Halo, FloatArray] | None = None
    for power in params.powers or (params.power,):
        one = halo_light(light, params, power)
        found = _fit_levels(rest, ivar, one, dead, power)
        if best is None or found[0].chi2 < best[0].chi2:
            best = found
    assert best is not None
    return best


def _fit_levels(
    rest: FloatArray, ivar: FloatArray, one: FloatArray, dead: BoolArray, power: float
) -> tuple[Halo, FloatArray]:
    """Weighted least squares of one kernel's light and the levels, clipped twice."""
    half = rest.shape[0] // len(dead)
    at = np.flatnonzero(ivar > 0.0)
    alive, owner = np.flatnonzero(~dead), at // rest.shape[1] // half
    light, value, weight = (np.ravel(plane)[at].astype(np.float64) for plane in (one, rest, ivar))
    design = np.column_stack([light, *((owner == k).astype(np.float64) for k in alive)])
    for _ in range(3):
        matrix = (design * weight[:, None]).T @ design
        found = np.linalg.pinv(matrix, rcond=1e-12, hermitian=True) @ ((design * weight[:, None]).T @ value)
        left = (value - design @ found) ** 2 * weight
        chi2 = float(left.sum() / max(int((weight > 0).sum()) - found.size, 1))
        weight = np.where(left > _CLIP**2 * max(chi2, 1.0), 0.0, weight)
    error = np.sqrt(np.diag(np.linalg.pinv(matrix, rcond=1e-12, hermitian=True)) * max(chi2, 1.0))
    level, level_error = np.full(len(dead), np.nan), np.full(len(dead), np.nan)
    level[alive], level_error[alive] = found[1:], error[1:]
    halo = Halo(float(found[0]), float(error[0]), power, level, level_error, chi2)
    ground = np.repeat(np.nan_to_num(level), half)[:, None].astype(np.float32)
    return halo, np.asarray(np.float32(found[0]) * one + ground, np.float32)

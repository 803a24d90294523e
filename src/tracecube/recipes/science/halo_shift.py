"""How far the star moved between two frames, from the halo of speckles that goes with it.

Quasi-static speckles are made by the optics and stand still with respect to the star's image; a frame
without satellite spots is therefore the frame with spots, moved and slightly fainter. Move and
brightness follow from all channels together; what the speckles changed meanwhile is noise, and its
size is taken from sectors of the halo that do not agree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.spatial import cKDTree

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray
from tracecube.core.params import Params
from tracecube.core.spectra import Spectra
from tracecube.kernels.bandlimited import interpolation_weights

__all__ = ["HaloMove", "HaloParams", "halo_move"]

F8 = NDArray[np.float64]

# Step of the numerical slope, arcsec: small against lambda / D, large against rounding.
STEP = 5e-4
NEIGHBOURS = 19  # lenslets to three rings, as for cubes


class HaloParams(Params):
    """Which part of the halo tells the star's move."""

    inner: float = Field(0.10, ge=0.0, description="inner radius, arcsec: outside the mask")
    outer: float = Field(0.35, gt=0.0, description="outer radius, arcsec")
    sectors: int = Field(12, ge=4, le=60, description="parts whose disagreement gives the error")
    diameter: float = Field(8.0, gt=0.0, description="diameter of the telescope, m")
    largest: float = Field(8e-3, gt=0.0, description="largest move for which the linear model holds, arcsec")


@dataclass(frozen=True)
class HaloMove:
    """Move of the star from the reference to a frame.

    Parameters
    ----------
    x, y : float, arcsec
    covariance : array (2, 2), arcsec**2
        By the scatter of the sectors.
    gain : array (n_wave,)
        Brightness of the halo over that of the reference; NaN where not measured.
    chi2 : float
        Reduced, by the variance of the samples: above 1 where speckles changed.
    """

    x: float
    y: float
    covariance: F8
    gain: F8
    chi2: float


def halo_move(
    frame: Spectra,
    reference: Spectra,
    star: tuple[float, float],
    params: HaloParams,
    *,
    good: tuple[BoolArray, BoolArray],
) -> HaloMove:
    """Measure the move of the star between two frames of the same lenslets.

    Parameters
    ----------
    frame, reference : Spectra
        On the same wavelength grid, with the same lenslets in the same order.
    star : (float, float), arcsec
        Star in the reference.
    params : HaloParams
    good : two bool arrays (n, n_wave)
        Samples of frame and reference that belong to the halo: usable ones without satellite spots.

    Raises
    ------
    BadData
        Different lenslets or channels, too few samples, or a move beyond the linear model.
    """
    if frame.flux.shape != reference.flux.shape or not np.array_equal(frame.aperture, reference.aperture):
        raise BadData("frames of different lenslets cannot be compared", hint="extract both with the same traces")
    rows, near, slopes = _slopes(reference, star, params)
    if rows.size < 10 * params.sectors:
        raise BadData("too few lenslets in the halo", hint="widen 'inner' and 'outer'")
    sector = _sectors(reference, rows, star, params.sectors)
    matrix, vector, gain, chi2 = np.zeros((params.sectors, 2, 2)), np.zeros((params.sectors, 2)), [], []
    for k in range(frame.flux.shape[1]):
        ok = good[0][rows, k] & good[1][near, k].all(axis=1)
        if ok.sum() < 10 * params.sectors:
            gain.append(np.nan)
            continue
        one = _channel((frame, reference), k, (rows[ok], near[ok], slopes[:, ok]), sector[ok], params.sectors)
        matrix += one[0]
        vector += one[1]
        gain.append(one[2])
        chi2.append(one[3])
    if not chi2:
        raise BadData("no channel with enough of the halo", hint="look at the flags of the spectra")
    move, covariance = _jackknife(matrix, vector)
    if np.hypot(*move) > params.largest:
        raise BadData(
            f"the halo seems to have moved by {1e3 * np.hypot(*move):.1f} mas",
            hint="was the star recentred in between? use a frame with spots nearer in time",
        )
    return HaloMove(float(move[0]), float(move[1]), covariance, np.array(gain), float(np.mean(chi2)))


def _slopes(
    reference: Spectra, star: tuple[float, float], params: HaloParams
) -> tuple[NDArray[np.int64], NDArray[np.int64], F8]:
    """Lenslets of the halo, their neighbours, and the weights (2, n, k) that give the slopes there."""
    placed = np.flatnonzero(np.isfinite(reference.x) & np.isfinite(reference.y))
    points = np.column_stack([reference.x[placed], reference.y[placed]]).astype(float)
    radius = np.hypot(points[:, 0] - star[0], points[:, 1] - star[1])
    inside = np.flatnonzero((radius > params.inner) & (radius < params.outer))
    _, near = cKDTree(points).query(points[inside], k=NEIGHBOURS)
    offset = points[near] - points[inside][:, None]
    unit = float(np.degrees(float(np.min(reference.wave)) * 1e-10 / params.diameter) * 3600.0)
    found = []
    for step in STEP * np.eye(2):
        ends = [interpolation_weights(offset + sign * step, unit) for sign in (-1.0, 1.0)]
        found.append((ends[0] - ends[1]) / (2.0 * STEP))
    return placed[inside], placed[near], np.stack(found)


def _sectors(reference: Spectra, rows: NDArray[np.int64], star: tuple[float, float], count: int) -> NDArray[np.int64]:
    """Sector of each lenslet."""
    angle = np.arctan2(reference.y[rows] - star[1], reference.x[rows] - star[0])
    return np.asarray(((angle / (2.0 * np.pi) + 0.5) * count).astype(int) % count)


def _channel(
    pair: tuple[Spectra, Spectra],
    k: int,
    lenslets: tuple[NDArray[np.int64], NDArray[np.int64], F8],
    sector: NDArray[np.int64],
    count: int,
) -> tuple[F8, F8, float, float]:
    """Normal equations of the move by sector in one channel, gain, and reduced chi2.

    The reference's noise makes its slopes larger than they are; the expected part of that is taken out
    of the matrix (errors in variables: Fuller 1987, Measurement Error Models).
    """
    frame, reference = pair
    rows, near, slopes = lenslets
    flux, base = np.asarray(frame.flux[rows, k], float), np.asarray(reference.flux[rows, k], float)
    columns = np.stack([base, np.ones(rows.size)])
    weight = 1.0 / (frame.variance[rows, k] + reference.variance[rows, k])
    inverse = np.linalg.inv((columns * weight) @ columns.T)
    level = inverse @ (columns @ (weight * flux))
    residual = flux - level @ columns
    # The middle of the distribution: a few lenslets where speckles changed do not rule the weight.
    chi2 = float(np.median(weight * residual**2)) / 0.4549
    weight = weight / max(chi2, 1.0)
    far = np.abs(residual) * np.sqrt(weight)
    weight = weight * np.where(far > 5.0, 5.0 / far, 1.0)  # noqa: PLR2004
    moved = -level[0] * np.einsum("ank,nk->an", slopes, reference.flux[near, k])
    moved = moved - ((moved * weight) @ columns.T @ np.linalg.inv((columns * weight) @ columns.T)) @ columns
    noise = level[0] ** 2 * np.einsum("ank,bnk,nk->abn", slopes, slopes, reference.variance[near, k])
    matrix, vector = np.zeros((count, 2, 2)), np.zeros((count, 2))
    for a in range(2):
        vector[:, a] = np.bincount(sector, weight * moved[a] * residual, count)
        for b in range(2):
            matrix[:, a, b] = np.bincount(sector, weight * (moved[a] * moved[b] - noise[a, b]), count)
    return matrix, vector, float(level[0]), chi2


def _jackknife(matrix: F8, vector: F8) -> tuple[F8, F8]:
    """Solution of the summed equations, and its covariance by leaving out each sector in turn.

    Efron & Stein 1981, Ann. Statist. 9, 586.
    """
    whole = np.linalg.solve(matrix.sum(axis=0), vector.sum(axis=0))
    without = np.linalg.solve(matrix.sum(axis=0) - matrix, (vector.sum(axis=0) - vector)[..., None])[..., 0]
    spread = without - without.mean(axis=0)
    count = matrix.shape[0]
    return whole, np.asarray((count - 1.0) / count * spread.T @ spread)

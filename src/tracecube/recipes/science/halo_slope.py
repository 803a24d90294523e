"""How the lamp of a lenslet flat lit one side of the field more than the other, as the star's own halo tells.

What phase errors leave around a star behind a mask is the same on both sides of it (Bloemhof et al. 2001, ApJ 558, L71;
Perrin et al. 2003, ApJ 596, 702), and so is the air's halo in the mean. A halo divided by the flat that is brighter on
one side has found the lamp fainter there. Its slope across the field is taken; whatever is even about the star, such as
a halo drawn out by the wind, does not enter, for lenslets count in pairs that face each other across the star. Speckles
that stand still do, and so do halos that wind and scintillation make lopsided: the error is that of leaving out facing
sectors in turn (jackknife; Efron 1982), and of channels that do not agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tracecube.core.fields import BoolArray
from tracecube.recipes.science.star_sequence import StarSequence

__all__ = ["HaloSlope", "evened", "expected_slope", "halo_slope"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

INNER, OUTER = 0.15, 0.75  # arcsec: beyond the mask's edge, and where the whole circle is in the field
_RING = 0.03  # arcsec: about lambda / D
_BAND = 0.2  # of the star's brightest channel, from which a channel counts
_FACING = 0.65  # of the distance of lenslets, within which one faces another
_CLIP, _CLIP_ROUNDS = 4.0, 4  # of the scatter of a ring: companions, hits
_SECTORS = 12  # pairs of facing sectors
_COLOURS = 3  # parts of the band that must agree
_LEAST = 1000  # lenslets


@dataclass(frozen=True)
class HaloSlope:
    """Slope of the halo over the flat.

    Parameters
    ----------
    slope, error : array (2,), 1 / arcsec
        Relative, along x and y.
    centre : array (2,), arcsec
        Place of the star, where the halo is as bright as its slope says.
    """

    slope: F8
    error: F8
    centre: F8


def halo_slope(sequence: StarSequence) -> HaloSlope | None:
    """Measure the slope in all exposures and channels together; None where too little of the halo is seen."""
    channels = np.flatnonzero(sequence.light > _BAND * sequence.light.max())
    place = np.stack([sequence.lattice.x, sequence.lattice.y], axis=1)
    centre = np.array([sequence.star_x[:, channels].mean(), sequence.star_y[:, channels].mean()])
    tree = cKDTree(place)
    pitch = float(np.median(tree.query(place[:: max(1, len(place) // 500)], k=2)[0][:, 1]))
    gap, facing = tree.query(2.0 * centre - place)
    away = place - centre
    radius = np.hypot(away[:, 0], away[:, 1])
    inside = (radius > INNER) & (radius < OUTER) & (gap < _FACING * pitch)
    inside &= inside[facing]
    if channels.size < _COLOURS or np.count_nonzero(inside) < _LEAST:
        return None
    rings = ((radius - INNER) / _RING).clip(0.0, (OUTER - INNER) / _RING - 1e-9).astype(np.int64)
    light = np.stack([_above(_mean_light(sequence, int(k)), rings, inside) for k in channels])
    whole = _slope(light, rings, (away, facing, inside))
    parts = [_slope(part, rings, (away, facing, inside)) for part in np.array_split(light, _COLOURS)]
    known = [part[0] for part in parts if part is not None]
    if whole is None or len(known) < _COLOURS:
        return None
    colour = np.var(known, axis=0, ddof=1) / _COLOURS
    return HaloSlope(whole[0], np.sqrt(whole[1] + colour), centre)


def _mean_light(sequence: StarSequence, channel: int) -> F8:
    """Mean of all exposures in a channel, array (n,); NaN where one is missing: speckles differ between exposures."""
    whole = (sequence.weight[:, channel] > 0).all(axis=0)
    return np.where(whole, sequence.flux[:, channel].mean(axis=0, dtype=float), np.nan)


def _above(light: F8, rings: I8, inside: BoolArray) -> F8:
    """Light over the median of its ring, less 1."""
    known = inside & np.isfinite(light)
    level = np.full(int(rings.max()) + 1, np.nan)
    for ring in range(level.size):
        here = light[known & (rings == ring)]
        level[ring] = np.median(here) if here.size else np.nan
    return np.asarray(np.where(known, light / np.where(level > 0, level, np.nan)[rings], np.nan) - 1.0)


def _slope(light: F8, rings: I8, pairs: tuple[F8, I8, BoolArray]) -> tuple[F8, F8] | None:
    """Slope and variance from light (n_wave, n) over its rings; None where too few lenslets are known.

    Parameters
    ----------
    light : array (n_wave, n)
    rings : array (n,)
    pairs : (array (n, 2), array (n,), array (n,))
        Place from the star, number of the facing lenslet, those that count.
    """
    away, facing, inside = pairs
    told = np.isfinite(light).sum(axis=0)
    known = inside & (told > 0.5 * len(light))  # noqa: PLR2004 - half of the channels
    mean = np.where(known, np.nansum(light, axis=0) / np.maximum(told, 1), 0.0)
    known &= known[facing]
    spread = np.zeros(mean.size)
    for _ in range(_CLIP_ROUNDS):
        spread = _spread(mean, rings, known)
        known &= np.abs(mean) < _CLIP * spread
        known &= known[facing]
    if np.count_nonzero(known) < _LEAST:
        return None
    weight = np.where(known & (spread > 0), 1.0 / np.where(spread > 0, spread, 1.0) ** 2, 0.0)
    angle = np.degrees(np.arctan2(away[:, 1], away[:, 0])) % 180.0
    sector = np.minimum((angle * _SECTORS / 180.0).astype(np.int64), _SECTORS - 1)
    normal, right = np.zeros((_SECTORS, 2, 2)), np.zeros((_SECTORS, 2))
    for s in range(_SECTORS):
        part, w = away[sector == s], weight[sector == s]
        normal[s], right[s] = (part.T * w) @ part, (part.T * w) @ mean[sector == s]
    found = np.linalg.solve(normal.sum(axis=0), right.sum(axis=0))
    left = np.stack(
        [np.linalg.solve(normal.sum(axis=0) - a, right.sum(axis=0) - b) for a, b in zip(normal, right, strict=True)]
    )
    return found, (_SECTORS - 1) * np.var(left, axis=0)


def _spread(values: F8, rings: I8, known: BoolArray) -> F8:
    """Root mean square of the values of each lenslet's ring, array (n,)."""
    count = np.bincount(rings[known], minlength=int(rings.max()) + 1)
    squares = np.bincount(rings[known], values[known] ** 2, minlength=count.size)
    return np.asarray(np.sqrt(squares / np.maximum(count, 1))[rings])


def expected_slope(found: HaloSlope, usual: float) -> tuple[F8, F8]:
    """Slope (2,) of the halo over the flat and its error, what is measured weighed against what is usual.

    Parameters
    ----------
    found : HaloSlope
    usual : float, 1 / arcsec
        Along each axis; 0 where the flat has no slope for the lamp to have any part of.
    """
    trust = usual**2 / np.maximum(usual**2 + found.error**2, 1e-300)
    return trust * found.slope, usual * np.sqrt(1.0 - trust)


def evened(sequence: StarSequence, slope: F8, at: F8) -> StarSequence:
    """Return the sequence as a flat without the lamp's slope would have left it, what lies at a place unchanged.

    Parameters
    ----------
    sequence : StarSequence
    slope : array (2,), 1 / arcsec
        Of the halo over the flat.
    at : array (2,), arcsec
        Of the star beside its mask, whose flux contrasts are told by.
    """
    x, y = sequence.lattice.x - at[0], sequence.lattice.y - at[1]
    level = (1.0 + slope[0] * x + slope[1] * y).astype(sequence.flux.dtype)
    return replace(sequence, flux=sequence.flux / level, weight=sequence.weight * level**2)

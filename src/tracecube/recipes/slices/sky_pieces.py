"""Pieces of all slices of an exposure together, as the fit of the sky takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.slices import SliceSegments

__all__ = [
    "BORDERS",
    "Slices",
    "Windows",
    "brightest",
    "faintest",
    "gather",
    "noise_of_objects",
    "one_weight",
    "outside",
    "tightness",
]

_LEAST_SPREAD = 1e-150  # whose square is still a number
BORDERS = (4560.0, 9350.0)
"""Angstrom: the sky is fitted between these."""

Windows = Sequence[tuple[float, float]]
"""Angstrom: ranges of wavelength."""

_BRIGHT = 0.2  # of the pieces
_OWN_LINES = 0.1  # rms of an object's spectrum about a smooth curve, over its level: stars, galaxies have 0.05 to 0.2
_CORRELATED = 30.0  # samples over which such lines go together


@dataclass(frozen=True)
class Slices:
    """Pieces of all slices of an exposure.

    Parameters
    ----------
    flux, weight, wave : array (n, m)
        Weight is the inverse variance, 0 for what was not measured.
    slice : int array (n,)
        Row of the slice that a piece belongs to, in ``detector`` and ``aperture``.
    white : array (n,)
    spread : array (n,), Angstrom**2
        By which a piece's lines are wider than those of its pixels.
    piece : int array (n,)
        Number along the slice.
    x, y : array (n,), arcsec
    detector : str array (s,)
    aperture : int array (s,)
    """

    flux: FloatArray
    weight: FloatArray
    wave: FloatArray
    slice: IntArray
    white: FloatArray
    spread: FloatArray
    piece: IntArray
    x: FloatArray
    y: FloatArray
    detector: np.ndarray
    aperture: IntArray


def gather(segments: Sequence[SliceSegments]) -> Slices:
    """Put the pieces of all detectors together, one detector after the other."""
    flux, weight, wave, owner, white, spread = [], [], [], [], [], []
    detector: list[str] = []
    aperture: list[int] = []
    for one in segments:
        known = np.isfinite(one.flux) & (one.variance > 0) & (one.wave > BORDERS[0]) & (one.wave < BORDERS[1])
        flux.append(np.where(known, one.flux, 0.0).astype(np.float32))
        weight.append(np.where(known, 1.0 / np.where(known, one.variance, 1.0), 0.0).astype(np.float32))
        wave.append(np.where(known, one.wave, 0.0))
        white.append(one.white)
        spread.append(one.spread)
        numbers = np.unique(one.aperture)
        owner.append(np.searchsorted(numbers, one.aperture) + len(aperture))
        aperture += list(numbers)
        detector += [str(one.meta.get("DETECTOR") or "")] * len(numbers)
    return Slices(
        flux=_joined(flux),
        weight=_joined(weight),
        wave=_joined(wave),
        slice=np.concatenate(owner).astype(np.int32),
        white=np.concatenate(white),
        spread=np.concatenate(spread),
        piece=np.concatenate([one.piece for one in segments]),
        x=np.concatenate([one.x for one in segments]),
        y=np.concatenate([one.y for one in segments]),
        detector=np.array(detector),
        aperture=np.array(aperture, np.int32),
    )


def faintest(white: FloatArray, ignore: float, fraction: float) -> BoolArray:
    """Return the pieces that see sky alone: the faintest, some of the very faintest left out."""
    known = np.isfinite(white)
    if not known.any():
        return known
    low, high = np.quantile(white[known], [ignore, min(ignore + fraction, 1.0)])
    return np.asarray(known & (white >= low) & (white <= high))


def brightest(white: FloatArray, blank: BoolArray) -> BoolArray:
    """Return the pieces that see the most light of objects: the brightest that are not blank."""
    known = np.isfinite(white)
    if not known.any():
        return known
    return np.asarray(known & ~blank & (white >= np.quantile(white[known], 1.0 - _BRIGHT)))


def noise_of_objects(slices: Slices, blank: BoolArray) -> FloatArray:
    """Return by what factor a piece's variance grows for the lines that an object in it may have of its own."""
    level = float(np.median(slices.white[blank]))
    above = np.maximum(np.nan_to_num(slices.white, nan=np.inf) - level, 0.0)
    count = np.maximum((slices.weight > 0).sum(axis=1), 1)
    typical = count / np.maximum(slices.weight.sum(axis=1, dtype=np.float64), 1e-300)  # variance of a sample
    return np.asarray(1.0 + (_OWN_LINES * np.where(np.isfinite(above), above, 0.0)) ** 2 * _CORRELATED / typical)


def outside(wave: FloatArray, weight: FloatArray, without: Windows) -> FloatArray:
    """Return weights that are 0 within some ranges of wavelength."""
    for low, high in without:
        weight = np.where((wave > low) & (wave < high), np.float32(0.0), weight)
    return weight


def one_weight(weight: FloatArray, kept: BoolArray) -> FloatArray:
    """Return one weight for all samples (k,) of a piece that are kept; 0 for the others.

    Pieces with light of objects are noisier than others between the sky's lines, and as noisy upon them: weighed sample
    by sample they would count more there, and their light would be taken for that of the lines.
    """
    good = kept & (weight > 0)
    return np.where(good, float(np.median(weight[good])) if good.any() else 0.0, 0.0)


def _joined(parts: list[FloatArray]) -> FloatArray:
    """Put arrays upon each other, and let each go once it is copied."""
    made = np.empty((sum(len(part) for part in parts), *parts[0].shape[1:]), parts[0].dtype)
    at = len(made)
    while parts:
        part = parts.pop()
        at -= len(part)
        made[at : at + len(part)] = part
    return made


def tightness(slices: Slices, blank: BoolArray, value: FloatArray) -> FloatArray:
    """Return how firmly the continuum of each piece is held to that of the sky: the inverse variance of its nodes.

    As far as blank pieces agree with each other once their slices' brightness is known; others are free. In a field
    that is filled they do not agree, and lines alone tell the brightness. What pieces differ is light of objects, much
    the same at all nodes: together they tell little more than one.
    """
    level = slices.white / value[slices.slice, 0]
    middle = float(np.median(level[blank]))
    spread = 1.4826 * float(np.median(np.abs(level[blank] - middle)))
    return np.where(blank, 1.0 / max(spread, 1e-4 * abs(middle), _LEAST_SPREAD) ** 2, 0.0)

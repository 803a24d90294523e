"""First place of the star: where four spots, seen through all channels, stand around one point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray
from tracecube.core.spectra import Spectra
from tracecube.kernels.psf import lattice_pitch
from tracecube.recipes.science.spot_windows import SpotPattern, Track, spot_place

__all__ = ["find_star"]

F8 = NDArray[np.float64]

# Channels that take part; more of them tell nothing new for a first guess.
CHANNELS = 13
# Ring around a place whose median is its background, lambda / D.
RING = (2.0, 3.5)


def find_star(
    spectra: Spectra,
    track: Track,
    pattern: SpotPattern,
    good: BoolArray,
    *,
    search: float,
    sigma: float,
    name: str,
) -> F8:
    """Return the place of the star (2,), arcsec, good to half a lenslet.

    Each lenslet's light in excess of a ring around it is the map of a channel; at every candidate
    place the weakest of the spots, averaged over the channels, counts: speckles seldom make four.

    Raises
    ------
    BadData
        At no place do all the spots stand out of the noise.
    """
    placed = np.flatnonzero(np.isfinite(spectra.x) & np.isfinite(spectra.y))
    points = np.column_stack([spectra.x[placed], spectra.y[placed]]).astype(float)
    tree, pitch = cKDTree(points), lattice_pitch(points[:, 0], points[:, 1])
    axis = np.arange(-search, search + 0.5 * pitch, 0.5 * pitch)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    signal = np.zeros((pattern.directions.size, grid.shape[0]))
    for channel in np.unique(np.linspace(0, track.wave.size - 1, CHANNELS).astype(int)):
        usable = good[placed, channel]
        light = np.where(usable, spectra.flux[placed, channel], np.nan)
        wave = track.wave[channel : channel + 1]
        for spot in range(pattern.directions.size):
            at = np.array([v[0] for v in spot_place(np.zeros(pattern.size), wave, track, pattern, spot)])
            signal[spot] += np.nan_to_num(_excess(tree, light, grid + at, float(pattern.resolution(wave)[0]), pitch))
    weakest = signal.min(axis=0)
    best = int(np.argmax(weakest))
    noise = 1.4826 * float(np.median(np.abs(weakest - np.median(weakest))))
    if not weakest[best] - np.median(weakest) > sigma * max(noise, 1e-30):
        raise BadData(
            f"{name}: no four satellite spots around one place within {search} arcsec of the field centre",
            hint="is it an OBJECT,CENTER frame? check OCS WAFFLE AMPL, or widen 'search'",
        )
    return np.asarray(grid[best])


def _excess(tree: cKDTree, light: F8, places: F8, unit: float, pitch: float) -> F8:
    """Significance of the light at places over the light around them, array (n,), at most 30 each.

    The bound keeps one hot sample from standing for a spot.
    """
    core = _mean_of_nearest(tree, light, places, 7, 1.5 * pitch)
    radius = 0.5 * (RING[0] + RING[1]) * unit
    angles = np.arange(12) * np.pi / 6.0
    ring = np.stack(
        [
            _mean_of_nearest(tree, light, places + radius * np.array([np.cos(a), np.sin(a)]), 3, 1.5 * pitch)
            for a in angles
        ]
    )
    with np.errstate(invalid="ignore"):
        level = _median(ring)
        scatter = 1.4826 * _median(np.abs(ring - level))
    typical = np.nanmedian(scatter) if np.isfinite(scatter).any() else 1.0
    return np.asarray(np.minimum((core - level) / np.maximum(scatter, max(float(typical), 1e-30)), 30.0))


def _median(rows: F8) -> F8:
    """Median over the first axis of what is known, 0 where nothing is."""
    known = np.isfinite(rows)
    return np.asarray(np.nanmedian(np.where(known.any(axis=0), rows, 0.0), axis=0))


def _mean_of_nearest(tree: cKDTree, light: F8, places: F8, count: int, within: float) -> F8:
    """Mean light of the lenslets nearest to places, NaN where none is near."""
    distance, row = tree.query(places, k=count, distance_upper_bound=within)
    near = np.isfinite(distance)
    values = np.where(near, light[np.where(near, row, 0)], np.nan)
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.asarray(np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan))

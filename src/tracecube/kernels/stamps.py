"""Images of a point source that moves over a lattice of lenslets from exposure to exposure.

The image is round and known against radius, channel by channel. Two verbs: paint it into samples, and
gather samples under it; each is the other's transpose.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["Lattice", "Profile", "gather", "lattice_of", "paint"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

BLOCK = 512  # places worked on at once


class Lattice(NamedTuple):
    """Lenslets sorted into square cells, so that those around a place are found at once.

    Parameters
    ----------
    x, y : array (n,), arcsec
    start : int array (n_cell + 1,)
        First entry in ``order`` of each cell.
    order : int array (n,)
    origin_x, origin_y, cell : float, arcsec
    columns, rows : int
    """

    x: F8
    y: F8
    start: I8
    order: I8
    origin_x: float
    origin_y: float
    cell: float
    columns: int
    rows: int


class Profile(NamedTuple):
    """Image of a point source: its light in a lenslet against the square of the distance.

    The square costs no root, and a smooth image is smooth in it.

    Parameters
    ----------
    share : array (n_wave, n_radius)
        At squared distances 0, step, 2 step, ...
    step : float, arcsec**2
    reach : array (n_wave,), arcsec
        Distance beyond which there is nothing; within the table.
    """

    share: F8
    step: float
    reach: F8


def lattice_of(x: F8, y: F8, cell: float) -> Lattice:
    """Sort lenslets into cells of a width (arcsec)."""
    x, y = np.ascontiguousarray(x, float), np.ascontiguousarray(y, float)
    left, low = float(x.min()), float(y.min())
    columns, rows = int((x.max() - left) / cell) + 1, int((y.max() - low) / cell) + 1
    which = ((y - low) / cell).astype(np.int64) * columns + ((x - left) / cell).astype(np.int64)
    start = np.zeros(columns * rows + 1, np.int64)
    np.cumsum(np.bincount(which, minlength=columns * rows), out=start[1:])
    return Lattice(x, y, start, np.argsort(which, kind="stable"), left, low, cell, columns, rows)


@compiled()
def _around(lattice: Lattice, px: float, py: float, reach: float, found: I8) -> int:
    """Put the lenslets within ``reach`` of a place into ``found``; return their number."""
    n = 0
    left = max(0, int((px - reach - lattice.origin_x) / lattice.cell))
    right = min(lattice.columns - 1, int((px + reach - lattice.origin_x) / lattice.cell))
    low = max(0, int((py - reach - lattice.origin_y) / lattice.cell))
    high = min(lattice.rows - 1, int((py + reach - lattice.origin_y) / lattice.cell))
    for row in range(low, high + 1):
        for column in range(left, right + 1):
            c = row * lattice.columns + column
            for j in range(lattice.start[c], lattice.start[c + 1]):
                i = lattice.order[j]
                dx, dy = lattice.x[i] - px, lattice.y[i] - py
                if dx * dx + dy * dy < reach * reach:
                    found[n] = i
                    n += 1
    return n


@compiled()
def _candidates(lattice: Lattice, px: F8, py: F8, reach: F8, found: I8) -> int:
    """Put the lenslets that an image may fall on in any channel into ``found``; return their number."""
    x, y = px.mean(), py.mean()
    margin = max(np.abs(px - x).max(), np.abs(py - y).max())
    return int(_around(lattice, x, y, reach.max() + 1.5 * margin, found))


@compiled()
def gather(lattice: Lattice, profile: Profile, px: F8, py: F8, samples: F8) -> F8:
    """Sum samples under the image of a source at places.

    Parameters
    ----------
    px, py : array (n_place, n_time, n_wave), arcsec
        Place of the source in each exposure and channel.
    samples : array (n_time, n_wave, n)

    Returns
    -------
    array (n_place, n_wave)
    """
    places, times, waves = px.shape
    total = np.zeros((places, waves))
    found = np.empty(lattice.x.size, np.int64)
    for first in range(0, places, BLOCK):
        last = min(first + BLOCK, places)
        for t in range(times):
            # Lenslets around all places of a block first, then channel by channel: a channel stays in the cache.
            start = np.zeros(last - first + 1, np.int64)
            lists = np.empty((last - first) * 64, np.int64)
            for s in range(first, last):
                n = _candidates(lattice, px[s, t], py[s, t], profile.reach, found)
                begin = start[s - first]
                if begin + n > lists.size:
                    longer = np.empty(2 * (begin + n), np.int64)
                    longer[:begin] = lists[:begin]
                    lists = longer
                lists[begin : begin + n] = found[:n]
                start[s - first + 1] = begin + n
            for k in range(waves):
                limit = profile.reach[k] ** 2
                table, row = profile.share[k], samples[t, k]
                for s in range(first, last):
                    x, y, value = px[s, t, k], py[s, t, k], 0.0
                    for q in range(start[s - first], start[s - first + 1]):
                        i = lists[q]
                        square = (lattice.x[i] - x) ** 2 + (lattice.y[i] - y) ** 2
                        if square < limit:
                            r = square / profile.step
                            j = int(r)
                            value += (table[j] + (r - j) * (table[j + 1] - table[j])) * row[i]
                    total[s, k] += value
    return total


@compiled()
def paint(lattice: Lattice, profile: Profile, px: F8, py: F8, light: F8) -> F8:
    """Add the images of sources at places into samples: the transpose of `gather`.

    Parameters
    ----------
    px, py : array (n_place, n_time, n_wave), arcsec
    light : array (n_place, n_time, n_wave)
        Flux of each source.

    Returns
    -------
    array (n_time, n_wave, n)
    """
    places, times, waves = px.shape
    samples = np.zeros((times, waves, lattice.x.size))
    found = np.empty(lattice.x.size, np.int64)
    for s in range(places):
        for t in range(times):
            n = _candidates(lattice, px[s, t], py[s, t], profile.reach, found)
            for k in range(waves):
                limit = profile.reach[k] ** 2
                if light[s, t, k] == 0.0:
                    continue
                for q in range(n):
                    i = found[q]
                    square = (lattice.x[i] - px[s, t, k]) ** 2 + (lattice.y[i] - py[s, t, k]) ** 2
                    if square < limit:
                        r = square / profile.step
                        j = int(r)
                        share = profile.share[k, j] + (r - j) * (profile.share[k, j + 1] - profile.share[k, j])
                        samples[t, k, i] += share * light[s, t, k]
    return samples

"""A galaxy's own light: points on a lattice, seen through the point-spread function of the source beside them.

What the points may be is a Gaussian process: light is alike over a length (an exponential correlation, rough enough for
bulges), each point has some of its own (knots), and it is as strong as the galaxy is bright there. Its leading
patterns, as the lenslets see them, are what is fitted (Karhunen-Loeve; Rasmussen & Williams 2006, section 4.3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.point_light import point_columns, point_sums, radial_table
from tracecube.recipes.science.chromatic_fit import Geometry, Setting, centre_of, growth_of, shape_of
from tracecube.recipes.science.scene import Track

__all__ = ["Points", "lattice_of", "points_with_patterns", "refraction_of"]

F8 = NDArray[np.float64]
SPACING = 0.6  # arcsec: half of the least full width of seeing, beyond which no detail is seen
MARGIN = 1.5  # arcsec about the lenslets
TOLD = 0.1  # of the noise, with all slices: a pattern that makes less is left out
MOST = 480  # patterns: where the light is a hundred times its noise, fewer leave a tenth of a knot
REACHING = 4.0  # details, over which light is alike
KNOTS = 0.8  # of the variance of light about a point: what that point has of its own
NODES = 28  # samples along a track: light drifts by a tenth of a lenslet and less from one to the next


@dataclass(frozen=True)
class Points:
    """Points on a lattice, and the patterns in which they shine.

    Parameters
    ----------
    x, y : array (q,), arcsec
        Places at the reference wavelength.
    pattern : array (j, q)
        Flux of each point in each pattern, whose amplitudes have one common spread.
    values : array (11,)
        Those of `tracecube.recipes.science.chromatic_fit.NAMES` whose shape the points are seen through.
    geometry : Geometry
    """

    x: F8
    y: F8
    pattern: F8
    values: F8
    geometry: Geometry

    def tables(self, track: Track) -> F8:
        """Light by distance from a point, along a track (m, t)."""
        return radial_table(
            shape_of(self.values), growth_of(self.values, track), self.geometry.nodes, self.geometry.area
        )

    def patterns(self, x: F8, y: F8, track: Track, shift: tuple[F8, F8], *, single: bool = False) -> F8:
        """Brightness of the patterns in lenslets, array (m, j, n), at shifts (m,) in arcsec.

        ``single`` precision costs half the time and errs by a millionth of a pattern.
        """
        shape = shape_of(self.values)
        pattern: NDArray[np.floating] = self.pattern.astype(np.float32) if single else self.pattern
        rows = [
            pattern @ point_columns(x - east, y - north, (self.x, self.y), shape, table).astype(pattern.dtype).T
            for east, north, table in zip(*shift, self.tables(track), strict=True)
        ]
        return np.array(rows, dtype=float)

    def pictures(self, amplitude: F8, x: F8, y: F8, track: Track, shift: tuple[F8, F8]) -> F8:
        """Brightness of sums of patterns (a, j) in lenslets, array (m, a, n); between `NODES` it is interpolated."""
        few = np.unique(np.round(np.linspace(0, track.growth.size - 1, NODES)).astype(int))
        some = Track(track.east[few], track.north[few], track.growth[few])
        rows = point_sums(
            x,
            y,
            (self.x, self.y),
            amplitude @ self.pattern,
            shift=(shift[0][few], shift[1][few]),
            shape=shape_of(self.values),
            table=self.tables(some),
        )
        return rows if few.size == track.growth.size else _between(few, rows, track.growth.size)


def _between(few: NDArray[np.intp], rows: F8, count: int) -> F8:
    """Interpolate rows of some samples (f, ...) to all of them."""
    from scipy.interpolate import CubicSpline  # noqa: PLC0415 - slow to import

    weight = CubicSpline(few, np.eye(few.size))(np.arange(count))
    return np.asarray(np.tensordot(weight, rows, axes=1))


def refraction_of(values: F8, track: Track) -> tuple[F8, F8]:
    """Shift along a track, arcsec."""
    at_x, at_y = centre_of(values, track)
    return at_x - values[0], at_y - values[1]


def lattice_of(x: F8, y: F8) -> tuple[F8, F8]:
    """Hexagonal lattice that covers lenslets, places (q,) and (q,) in arcsec."""
    half = float(max(np.ptp(x), np.ptp(y))) / 2.0 + MARGIN
    steps = np.arange(-int(half / SPACING) - 2, int(half / SPACING) + 3)
    row, column = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    node_x = 0.5 * (x.max() + x.min()) + SPACING * (column + 0.5 * (row % 2))
    node_y = 0.5 * (y.max() + y.min()) + SPACING * np.sqrt(0.75) * row
    nearest = np.array([np.hypot(at_x - x, at_y - y).min() for at_x, at_y in zip(node_x, node_y, strict=True)])
    return node_x[nearest <= MARGIN], node_y[nearest <= MARGIN]


def points_with_patterns(
    setting: Setting, weight: F8, values: F8, brightness: F8 | float, detail: float, *, most: int = MOST
) -> Points:
    """Find the patterns that the lenslets tell apart.

    Parameters
    ----------
    setting : Setting
    weight : array (k, n)
    values : array (11,)
        Of the source.
    brightness : array (q,) or float
        Of the light about each point of `lattice_of`, per lenslet: what its flux may be, up to a factor.
    detail : float, arcsec
        What is followed of the galaxy: light is alike over four of it, knots apart.
    most : int
        Patterns, the strongest.
    """
    scene, geometry = setting.scene, setting.geometry
    x, y = lattice_of(scene.x, scene.y)
    one = radial_table(shape_of(values), np.ones(1), geometry.nodes, geometry.area)[0]
    strength = np.broadcast_to(brightness, x.shape)
    seen = point_columns(scene.x, scene.y, (x, y), shape_of(values), one) * np.sqrt(weight.sum(axis=0))[:, None]
    alike = np.exp(-np.hypot(x[:, None] - x, y[:, None] - y) / (REACHING * detail)) + KNOTS * np.eye(x.size)
    alike *= np.outer(strength, strength)
    given = seen @ alike
    size, shape = np.linalg.eigh(given @ seen.T)
    keep = np.flatnonzero(size > TOLD)[-most:]
    pattern = (shape[:, keep] / np.sqrt(size[keep])).T @ given
    return Points(x, y, pattern, values, geometry)

"""Where a guide image points: detections matched to a star catalogue, no network needed.

All offsets between image and catalogue are voted for at small rotations; the winner is refined by a
similarity transform with outliers given up. The match is refused when stars are trailed or few, or
when as many pairs could agree by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData, NoConvergence
from tracecube.recipes.sky.stars import Stars

__all__ = ["PlateSolution", "Search", "solve_plate"]

_PEAKS, _STARTS = 3, 20  # cells at each angle that are kept, and how many of all are tried

F8 = NDArray[np.float64]


@dataclass(frozen=True)
class Search:
    """What is known of the camera beforehand, and what a match must achieve.

    Parameters
    ----------
    scale : float, arcsec/px
    rotation : float, degree
        Largest rotation from north up, east left.
    offset : float, arcsec
        Largest error of the pointing.
    scale_error : float
        Largest relative error of the scale.
    tolerance : float, arcsec
        Residual above which a pair is given up in the end.
    minimum : int
        Smallest number of matched stars.
    elongation : float
        Median axis ratio from which stars count as trailed.
    brightest : int
        Detections used in the search.
    """

    scale: float
    rotation: float
    offset: float
    scale_error: float
    tolerance: float
    minimum: int
    elongation: float
    brightest: int


@dataclass(frozen=True)
class PlateSolution:
    """Similarity transform from pixels to the tangent plane.

    East (arcsec) is ``east + a * dx + b * dy``, north is ``north + b * dx - a * dy``, with dx, dy from
    ``pivot`` (px): a reflection, for east is left when north is up.

    Parameters
    ----------
    coefficients : array (4,)
        east, north (arcsec), a, b (arcsec/px).
    covariance : array (4, 4)
    pivot : (float, float), px
    matched : int
    rms : float, arcsec
        Of the residuals, a coordinate.
    fwhm : float, arcsec
        Median width of the stars; NaN when none was measurable.
    """

    coefficients: F8
    covariance: F8
    pivot: tuple[float, float]
    matched: int
    rms: float
    fwhm: float

    def sky(self, x: float, y: float) -> tuple[float, float, float]:
        """Place of a pixel: east, north and the error of each (arcsec)."""
        row_east, row_north = _design(np.array([x - self.pivot[0]]), np.array([y - self.pivot[1]]))
        error = float(np.sqrt((row_east @ self.covariance @ row_east.T)[0, 0]))
        return float((row_east @ self.coefficients)[0]), float((row_north @ self.coefficients)[0]), error

    def pixel(self, east: float, north: float) -> tuple[float, float]:
        """Place on the image (px) of a point of the tangent plane (arcsec)."""
        east_0, north_0, a, b = (float(value) for value in self.coefficients)
        de, dn, size = east - east_0, north - north_0, a**2 + b**2
        return self.pivot[0] + (a * de + b * dn) / size, self.pivot[1] + (b * de - a * dn) / size

    @property
    def scale(self) -> float:
        """Arcsec a pixel."""
        return float(np.hypot(self.coefficients[2], self.coefficients[3]))

    @property
    def rotation(self) -> float:
        """Angle from +y to north, degree, counter-clockwise."""
        return float(np.degrees(np.arctan2(self.coefficients[3], -self.coefficients[2])))


def solve_plate(
    stars: Stars, east: F8, north: F8, magnitude: F8, search: Search, *, centre: tuple[float, float]
) -> PlateSolution:
    """Match detections to catalogue stars.

    Parameters
    ----------
    stars : Stars
        Detections, places in px.
    east, north : array (m,), arcsec
        Catalogue stars on the tangent plane.
    magnitude : array (m,)
    search : Search
    centre : (float, float), px
        The pixel that should see the origin of the tangent plane, to within ``search.offset``.

    Raises
    ------
    BadData
        Too few stars, or trailed ones.
    NoConvergence
        No offset makes enough stars agree.
    """
    _check(stars, search)
    bright = slice(0, search.brightest)
    x, y = stars.x[bright], stars.y[bright]
    reach = np.hypot(-search.scale * (x - centre[0]), search.scale * (y - centre[1])).max() + search.offset
    chosen = np.flatnonzero(np.isfinite(east) & (np.hypot(east, north) <= reach))
    order = chosen[np.argsort(magnitude[chosen], kind="stable")]
    starts = _vote(x - centre[0], y - centre[1], east[order], north[order], search)
    refined = [_refine(stars, east[chosen], north[chosen], one, search, centre) for one in starts]
    solution = max(refined, key=lambda one: one.matched)
    if solution.matched < search.minimum or abs(solution.scale / search.scale - 1.0) > search.scale_error:
        raise NoConvergence(
            f"guide image: {solution.matched} of {stars.number} stars match the catalogue",
            hint="check pointing and catalogue of this field",
        )
    return solution


def _check(stars: Stars, search: Search) -> None:
    """Refuse trailed and empty images."""
    if stars.number < search.minimum:
        raise BadData(f"guide image: only {stars.number} stars", hint="take longer guide exposures")
    shapes = stars.elongation[: search.brightest]
    shapes = shapes[~np.isnan(shapes)]
    if shapes.size and np.median(shapes) > search.elongation:
        raise BadData(f"guide image: stars are trailed (axis ratio {np.median(shapes):.1f})", hint="check the guiding")


def _design(dx: F8, dy: F8) -> tuple[F8, F8]:
    one, none = np.ones_like(dx), np.zeros_like(dx)
    return np.column_stack([one, none, dx, dy]), np.column_stack([none, one, -dy, dx])


def _vote(dx: F8, dy: F8, east: F8, north: F8, search: Search) -> list[F8]:
    """Find rotations and offsets on which most pairs agree; return the four coefficients of each, most votes first.

    Of a dozen stars with a hundred in the catalogue, chance gathers as many in one of a hundred thousand cells as the
    truth does: the fit must tell.

    Cells of 4 arcsec are wide enough for the nominal scale and steps of half a degree. Ten times as
    many catalogue stars as detections leave room for a wide search and for detections of noise.
    """
    cell, step = 4.0, 0.5
    few = slice(0, 10 * dx.size)
    edges = np.arange(-search.offset - cell, search.offset + 2 * cell, cell)
    found: list[tuple[float, F8]] = []
    for angle in np.radians(np.arange(-search.rotation, search.rotation + step, step)):
        a, b = -search.scale * np.cos(angle), search.scale * np.sin(angle)
        gap_east = (east[few, None] - (a * dx + b * dy)).ravel()
        gap_north = (north[few, None] - (b * dx - a * dy)).ravel()
        votes, _, _ = np.histogram2d(gap_east, gap_north, bins=(edges, edges))
        # Pairs near the border of a cell fall into its neighbours.
        summed = votes[:-1, :-1] + votes[1:, :-1] + votes[:-1, 1:] + votes[1:, 1:]
        for peak in np.argsort(summed, axis=None)[: -_PEAKS - 1 : -1]:
            i, j = np.unravel_index(peak, summed.shape)
            found.append((float(summed[i, j]), np.array([edges[i + 1], edges[j + 1], a, b])))
    found.sort(key=lambda one: -one[0])
    return [start for _, start in found[:_STARTS]]


def _refine(
    stars: Stars, east: F8, north: F8, coefficients: F8, search: Search, centre: tuple[float, float]
) -> PlateSolution:
    """Fit the similarity transform to nearest pairs, with a tolerance that shrinks."""
    from scipy.spatial import cKDTree  # noqa: PLC0415 - slow to import

    tree = cKDTree(np.column_stack([east, north]))
    dx, dy = stars.x - centre[0], stars.y - centre[1]
    design_east, design_north = _design(dx, dy)
    covariance, rms, matched = np.full((4, 4), np.nan), np.nan, 0
    for tolerance in (5.0, 4.0, 3.0, 2.0, search.tolerance, search.tolerance, search.tolerance):
        place = np.column_stack([design_east @ coefficients, design_north @ coefficients])
        distance, near = tree.query(place)
        pair = distance <= max(tolerance, search.tolerance)
        # Two detections on one catalogue star: the nearer one is it.
        order = np.lexsort((distance, near))
        repeated = np.zeros_like(pair)
        repeated[order[1:]] = near[order[1:]] == near[order[:-1]]
        pair &= ~repeated
        matched = int(pair.sum())
        if matched < 3:
            break
        design = np.vstack([design_east[pair], design_north[pair]])
        value = np.concatenate([east[near[pair]], north[near[pair]]])
        coefficients = np.linalg.lstsq(design, value, rcond=None)[0]
        residual = value - design @ coefficients
        rms = float(np.sqrt(np.sum(residual**2) / (value.size - 4)))
        covariance = rms**2 * np.linalg.inv(design.T @ design)
    widths = stars.fwhm[: search.brightest]
    widths = widths[np.isfinite(widths)]
    scale = float(np.hypot(coefficients[2], coefficients[3]))
    fwhm = float(np.median(widths) * scale) if widths.size else np.nan
    return PlateSolution(coefficients, covariance, centre, matched, rms, fwhm)

"""Where a field of fibre bundles points: sources seen in the fibres matched to a star catalogue.

All pairs of source and catalogue star vote for a common offset and zero point at each rotation; the winner
is refined by a robust fit of one offset an exposure and one rotation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import NoConvergence
from tracecube.core.params import Params

__all__ = [
    "FieldMatchParams",
    "FieldPlate",
    "Finds",
    "fit_plate",
    "match_field",
]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class FieldMatchParams(Params):
    """Search for the pointing of a field.

    Parameters
    ----------
    offset : float, arcsec
        Largest error of the pointing.
    rotation : float, degree
        Largest error of the position angle.
    seeing : float, arcsec
        Expected full width at half maximum, for finding sources.
    threshold : float
        Signal to noise from which a source is found.
    brightest : int
        Sources, and catalogue stars per source, that vote.
    minimum : int
        Pairs that a solution needs.
    """

    offset: float = 12.0
    rotation: float = 0.4
    seeing: float = 1.8
    threshold: float = 8.0
    brightest: int = 80
    minimum: int = 3


@dataclass(frozen=True)
class Finds:
    """Sources seen, in the nominal tangent plane.

    Parameters
    ----------
    east, north : array (n,), arcsec
    error : array (n,), arcsec
        A coordinate.
    magnitude : array (n,)
        -2.5 log10 of the flux; the zero point is free.
    exposure : int array (n,)
        Exposure, from 1; 0 for sources found in all exposures together.
    """

    east: F8
    north: F8
    error: F8
    magnitude: F8
    exposure: I8


@dataclass(frozen=True)
class FieldPlate:
    """How the nominal tangent plane lies on the sky.

    A nominal place (e, n) is at (scale * (e cos r - n sin r) + east, scale * (e sin r + n cos r) + north) with the
    offset of its exposure, from the field's centre of the start.

    Parameters
    ----------
    exposures : int array (k,)
    east, north, east_error, north_error : array (k,), arcsec
    rotation, rotation_error : float, degree
    scale, scale_error : float
        Scale is 1 unless fitted.
    residual_east, residual_north : array (m,), arcsec
        Of the pairs.
    find, star : int array (m,)
        The pairs: rows of finds and of the catalogue.
    weight : array (m,)
        1 for a pair that is trusted, towards 0 for one that is not.
    scatter : float, arcsec
        Of the trusted pairs, a coordinate.
    """

    exposures: I8
    east: F8
    north: F8
    east_error: F8
    north_error: F8
    rotation: float
    rotation_error: float
    residual_east: F8
    residual_north: F8
    find: I8
    star: I8
    weight: F8
    scatter: float
    scale: float = 1.0
    scale_error: float = 0.0

    def apply(self, east: F8, north: F8, exposure: I8) -> tuple[F8, F8]:
        """True tangent-plane places of nominal ones; exposures without a solution get the mean offset."""
        angle = np.radians(self.rotation)
        shift_east, shift_north = np.full(len(east), self.east.mean()), np.full(len(east), self.north.mean())
        for number, one, other in zip(self.exposures, self.east, self.north, strict=True):
            shift_east[exposure == number], shift_north[exposure == number] = one, other
        cosine, sine = self.scale * np.cos(angle), self.scale * np.sin(angle)
        return cosine * east - sine * north + shift_east, sine * east + cosine * north + shift_north


def match_field(
    finds: Finds, east: F8, north: F8, magnitude: F8, params: FieldMatchParams = FieldMatchParams()
) -> FieldPlate:
    """Match finds to catalogue stars.

    Parameters
    ----------
    finds : Finds
    east, north : array (n,), arcsec
        Catalogue in the tangent plane about the centre of the start.
    magnitude : array (n,)

    Raises
    ------
    NoConvergence
        Fewer than ``params.minimum`` pairs agree, or no more than chance would make agree.
    """
    first = _vote(finds, east, north, magnitude, params)
    return fit_plate(finds, east, north, first, params)


def _vote(finds: Finds, east: F8, north: F8, magnitude: F8, params: FieldMatchParams) -> tuple[float, float, float]:
    """Offset (east, north, arcsec) and rotation (degree) on which most pairs agree, zero point among it."""
    from scipy.spatial import cKDTree  # noqa: PLC0415

    keep = np.argsort(finds.magnitude, kind="stable")[: params.brightest]
    usable = np.flatnonzero(np.isfinite(magnitude) & np.isfinite(east))
    if len(keep) == 0 or len(usable) == 0:
        raise NoConvergence("astrometry: no sources to match", hint="check the catalogue and the sky subtraction")
    tree = cKDTree(np.column_stack([east[usable], north[usable]]))
    places = np.column_stack([finds.east[keep], finds.north[keep]])
    arm = max(float(np.hypot(*(places - places.mean(0)).T).max()), 60.0)
    step = float(np.clip(np.degrees(0.4 / arm), 0.02, 0.2))
    count = int(np.ceil(params.rotation / step))
    best, winner = -1.0, (0.0, 0.0, 0.0)
    for turn in np.arange(-count, count + 1) * step:
        angle = np.radians(turn)
        turned = places @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        lists = tree.query_ball_point(turned, params.offset)
        one = np.repeat(np.arange(len(keep)), [len(item) for item in lists])
        other = usable[np.concatenate([np.array(item, dtype=int) for item in lists])] if len(one) else np.zeros(0, int)
        gap = np.column_stack(
            [
                (east[other] - turned[one, 0]) / 0.7,
                (north[other] - turned[one, 1]) / 0.7,
                (magnitude[other] - finds.magnitude[keep][one]) / 0.5,
            ]
        )
        score = _agreement(gap, one, other)
        if score.size and score.max() > best:
            top = int(np.argmax(score))
            best, winner = float(score[top]), (0.7 * gap[top, 0], 0.7 * gap[top, 1], float(turn))
    return winner


def _agreement(gap: F8, source: I8, star: I8) -> F8:
    """How many sources agree with each pair, near misses counting less; each source and each star counts once."""
    from scipy.spatial import cKDTree  # noqa: PLC0415

    if len(gap) == 0:
        return np.zeros(0)
    near = cKDTree(gap).sparse_distance_matrix(cKDTree(gap), 3.0, output_type="coo_matrix")
    value = np.exp(-0.5 * near.data**2)
    # zero distances of a pair to itself are not stored by every version
    value[near.row == near.col] = 1.0
    counts = []
    for label in (source, star):
        key = near.row.astype(np.int64) * (int(label.max()) + 1) + label[near.col]
        order = np.lexsort((-value, key))
        first = np.ones(len(order), dtype=bool)
        first[1:] = key[order][1:] != key[order][:-1]
        counts.append(np.bincount(near.row[order][first], value[order][first], minlength=len(gap)))
    return np.minimum(*counts)


def fit_plate(
    finds: Finds,
    east: F8,
    north: F8,
    start: tuple[float, float, float],
    params: FieldMatchParams = FieldMatchParams(),
    *,
    scale: bool = False,
) -> FieldPlate:
    """Fit one offset an exposure, one rotation and perhaps the scale to the nearest pairs, robustly.

    Weights are those of Cauchy's distribution at the larger of tolerance and scatter, so that a wrong pair has no
    pull; errors come from the scatter of the residuals.

    Parameters
    ----------
    start : (east, north, rotation), arcsec, arcsec, degree
    scale : bool
        Fit the scale too.

    Raises
    ------
    NoConvergence
        Too few pairs.
    """
    from scipy.spatial import cKDTree  # noqa: PLC0415

    tree = cKDTree(np.column_stack([east, north]))
    exposures, which = np.unique(finds.exposure, return_inverse=True)
    plate = _plain_plate(exposures, start)
    for reach in (2.5, 2.0, 1.5, 1.5, 1.5, 1.5):
        at = np.column_stack(plate.apply(finds.east, finds.north, finds.exposure))
        distance, near = tree.query(at)
        pair = _nearest_pairs(distance, near, finds.exposure, reach)
        if len(pair) < params.minimum:
            raise NoConvergence(
                f"astrometry: {len(pair)} of {len(finds.east)} sources match the catalogue",
                hint="check the pointing, the catalogue of this field and the sky subtraction",
            )
        plate = _solve_plate(plate, finds, (east, north), (pair, near[pair], which[pair]), scale)
    return plate


def _plain_plate(exposures: I8, start: tuple[float, float, float]) -> FieldPlate:
    none, count = np.zeros(0), len(exposures)
    rows = np.zeros(0, dtype=np.int64)
    big = np.full(count, np.inf)
    offsets = (np.full(count, start[0]), np.full(count, start[1]))
    return FieldPlate(exposures, *offsets, big, big, start[2], np.inf, none, none, rows, rows, none, np.inf)


def _nearest_pairs(distance: F8, near: I8, exposure: I8, reach: float) -> I8:
    """Rows of finds that are the nearest to their star, within reach, one an exposure."""
    order = np.lexsort((distance, near, exposure))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (near[order][1:] != near[order][:-1]) | (exposure[order][1:] != exposure[order][:-1])
    chosen = np.sort(order[first])
    return chosen[distance[chosen] <= reach]


def _solve_plate(
    plate: FieldPlate, finds: Finds, sky: tuple[F8, F8], pairs: tuple[I8, I8, I8], scale: bool
) -> FieldPlate:
    """Robust linear correction of a plate."""
    row, star, which = pairs
    e, n = finds.east[row], finds.north[row]
    angle = np.radians(plate.rotation)
    turned_e = plate.scale * (e * np.cos(angle) - n * np.sin(angle))
    turned_n = plate.scale * (e * np.sin(angle) + n * np.cos(angle))
    count = len(plate.exposures)
    hot = np.eye(count)[which]
    none = np.zeros_like(hot)
    extra_e = np.column_stack([-turned_n, turned_e])[:, : 1 + scale]
    extra_n = np.column_stack([turned_e, turned_n])[:, : 1 + scale]
    design = np.vstack([np.hstack([hot, none, extra_e]), np.hstack([none, hot, extra_n])])
    value = np.concatenate([sky[0][star] - turned_e, sky[1][star] - turned_n])
    weight, error = np.ones(len(row)), np.maximum(finds.error[row], 0.02)
    solution, spread = np.zeros(design.shape[1]), 1.0
    for _ in range(25):
        whole = np.tile(weight / (error**2 + spread**2), 2)
        solution = np.linalg.lstsq(design * np.sqrt(whole)[:, None], value * np.sqrt(whole), rcond=None)[0]
        residual = (value - design @ solution).reshape(2, -1)
        size = np.hypot(*residual)
        # the median of a Rayleigh distribution is 1.18 sigma
        spread = max(float(np.median(size)) / 1.1774, 0.01)
        weight = 1.0 / (1.0 + 0.25 * size**2 / (error**2 + spread**2))
    normal = design.T @ (np.tile(weight / (error**2 + spread**2), 2)[:, None] * design)
    left = max(2.0 * weight.sum() - design.shape[1], 1.0)
    inflate = float(np.sum(weight * size**2 / (error**2 + spread**2)) / left)
    sigma = np.sqrt(np.diag(np.linalg.pinv(normal)) * max(inflate, 0.2))
    scatter = float(np.sqrt(np.sum(weight * size**2) / max(2.0 * weight.sum() - design.shape[1], 1.0)))
    return replace(
        plate,
        east=solution[:count],
        north=solution[count : 2 * count],
        east_error=sigma[:count],
        north_error=sigma[count : 2 * count],
        rotation=plate.rotation + float(np.degrees(solution[2 * count])),
        rotation_error=float(np.degrees(sigma[2 * count])),
        scale=plate.scale * (1.0 + float(solution[-1])) if scale else plate.scale,
        scale_error=float(sigma[-1]) if scale else plate.scale_error,
        residual_east=residual[0],
        residual_north=residual[1],
        find=row,
        star=star,
        weight=weight,
        scatter=scatter,
    )

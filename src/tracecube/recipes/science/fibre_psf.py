"""Image, place, brightness and refraction of all stars of a field, fitted together on the fibres' light.

Unknown to all: offset, seeing and brightness of each exposure, one rotation, the refraction along and across the
zenith direction, the profile's exponent and its growth with wavelength. Unknown to a star: its light in each
band, and by how much the catalogue misplaces it. The stars' own unknowns are eliminated star by star.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import NoConvergence
from tracecube.recipes.science.fibre_psf_errors import field_covariance, star_errors
from tracecube.recipes.science.fibre_psf_system import (
    FieldFit,
    FieldLight,
    FieldPsfParams,
    StarFit,
    learn_errors,
    move_star,
    relight,
    star_system,
)

__all__ = ["fit_field", "star_groups"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
_WINGS = 2.5  # arcsec: so far beyond a star's fibres another one shines into them
WRONG = 0.3  # arcsec: catalogues are ten times better, what is matched by chance scatters more


def _start(start: tuple[F8, F8, float], k: int, params: FieldPsfParams) -> F8:
    """Return the values that a field of ``k`` exposures is started from."""
    parts = (
        start[0],
        start[1],
        [np.radians(start[2])],
        np.full(k, np.log(params.seeing)),
        np.zeros(k),
        [1.0, 0.0],
        [params.width_slope],
        [params.beta],
    )
    return np.concatenate(parts)


def fit_field(
    light: FieldLight,
    groups: Sequence[StarFit],
    start: tuple[F8, F8, float],
    params: FieldPsfParams = FieldPsfParams(),
) -> FieldFit:
    """Fit all stars of a field together.

    Parameters
    ----------
    light : FieldLight
    groups : sequence of StarFit
        With rows chosen; from `star_groups`.
    start : east (k,), north (k,), rotation (arcsec, degree)
        Of the exposures in rising order.

    Raises
    ------
    NoConvergence
        No star, or a solution that runs away.
    """
    if not groups:
        raise NoConvergence("field: no star in the fibres", hint="check the catalogue and the pointing")
    exposures = np.unique(light.exposure)
    k = len(exposures)
    fit = FieldFit(
        exposures, _start(start, k, params), np.zeros((0, 0)), list(groups), 0.03, 3.0 * params.catalogue_error
    )
    free_beta = sum(group.own for group in groups) >= params.beta_stars
    for group in fit.stars:
        relight(light, fit, group, params)
    for turn in range(params.rounds):
        steady, fit.settled = turn >= 3, turn >= 6
        normal, right = _prior(fit, params, free_beta and steady)
        pieces = [star_system(light, fit, group, params) for group in fit.stars]
        for piece in pieces:
            normal += piece.normal
            right += piece.common
        step = np.asarray(np.linalg.solve(normal, right), dtype=float)
        cap = _caps(k)
        step *= min(1.0, float(np.min(cap / np.maximum(np.abs(step), 1e-300))))
        fit.values = fit.values + step
        for group, piece in zip(fit.stars, pieces, strict=True):
            move_star(group, piece, step)
        fit.covariance = np.asarray(np.linalg.inv(normal), dtype=float)
        if steady:
            learn_errors(light, fit, pieces, params)
        settled = np.abs(step) < 0.02 * np.sqrt(np.diag(fit.covariance))
        if turn > 8 and settled.all():
            break
    _refuse(fit)
    fit.covariance = field_covariance(light, fit, params)
    star_errors(light, fit, fit.stars, params)
    return fit


def _refuse(fit: FieldFit) -> None:
    """Refuse what ran away, and what is matched by chance."""
    if not np.isfinite(fit.values).all():
        raise NoConvergence("field: the fit of the stars ran away", hint="check the sky subtraction")
    if fit.catalogue_error > WRONG:
        raise NoConvergence(
            f"field: stars lie {fit.catalogue_error:.2f} arcsec from the catalogue's places",
            hint="the match is one of chance: check the pointing and the catalogue",
        )


def star_groups(
    light: FieldLight,
    fibres: tuple[F8, F8],
    catalogue: tuple[F8, F8, I8],
    params: FieldPsfParams = FieldPsfParams(),
    *,
    every: bool = False,
) -> list[StarFit]:
    """Give each star the fibres around it; stars so near that they share fibres are one group.

    A crowd of more than ``params.together`` stars is taken star by star in the order of the catalogue, each with the
    stars around it: no fibre is then used twice, and stars whose fibres are taken are left out, unless ``every`` star
    is wanted.

    Parameters
    ----------
    light : FieldLight
    fibres : (east, north), arcsec
        Places by the best plate so far.
    catalogue : (east, north, row)
        Stars to be fitted, the brightest first.
    """
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - slow to import
    from scipy.spatial import cKDTree  # noqa: PLC0415

    points = np.flatnonzero(np.isfinite(light.variance).any(1))
    tree = cKDTree(np.column_stack(fibres)[points])
    every_place = np.column_stack(catalogue[:2])
    lists = [points[np.array(item, dtype=np.int64)] for item in tree.query_ball_point(every_place, params.reach)]
    seen = np.flatnonzero([len(item) >= 4 for item in lists])
    stars = cKDTree(every_place[seen])
    linked = stars.sparse_distance_matrix(stars, params.reach + _WINGS, output_type="coo_matrix").tocsr()
    _, label = connected_components(linked, directed=False)
    made = []
    for number in np.unique(label):
        members = seen[label == number]
        small = len(members) <= params.together
        for own, around in [(members, members[:0])] if small else _windows(members, every_place, lists, params, every):
            rows = np.unique(np.concatenate([lists[i] for i in own]))
            inside = np.concatenate([own, around])
            if len(rows) > len(inside) * 3:
                place = every_place[inside]
                dark = np.zeros((len(inside), len(light.wave)))
                group = StarFit(catalogue[2][inside], rows, place, np.zeros_like(place), dark, own=len(own))
                made.append(group)
    return made


def _windows(members: I8, place: F8, lists: Sequence[I8], params: FieldPsfParams, every: bool) -> list[tuple[I8, I8]]:
    """Split a crowd: one star, and those that shine into its fibres."""
    taken: set[int] = set()
    found = []
    for star in members:
        own = {int(row) for row in lists[star]}
        if not every and own & taken:
            continue
        taken |= own
        apart = np.hypot(*(place[members] - place[star]).T)
        found.append((np.array([star]), members[(apart < params.reach + _WINGS) & (members != star)]))
    return found


def _caps(k: int) -> F8:
    """Largest step of each unknown in one round."""
    return np.concatenate([np.full(2 * k, 0.5), [2e-3], np.full(k, 0.15), np.full(k, 0.3), [1.0, 1.0], [0.2], [0.5]])


def _prior(fit: FieldFit, params: FieldPsfParams, free_beta: bool) -> tuple[F8, F8]:
    """Normal matrix and right side of what is known beforehand."""
    size = len(fit.values)
    normal, right = np.zeros((size, size)), np.zeros(size)

    def know(index: int, expected: float, error: float) -> None:
        normal[index, index] += error**-2
        right[index] += (expected - fit.values[index]) * error**-2

    for index in range(*fit.part("width").indices(size)):
        know(index, np.log(params.seeing), 0.5)
    for index in range(*fit.part("norm").indices(size)):
        know(index, 0.0, 0.5)
    first = fit.part("refraction").start
    know(first, 1.0, params.refraction_error)
    know(first + 1, 0.0, params.refraction_error)
    know(fit.part("slope").start, params.width_slope, params.width_slope_error)
    know(fit.part("beta").start, params.beta, 1.0 if free_beta else 1e-4)
    # the mean brightness is one: what is common to all exposures belongs to the stars
    norm = fit.part("norm")
    normal[norm, norm] += 1e8
    right[norm] -= 1e8 * fit.values[norm].sum()
    return normal, right

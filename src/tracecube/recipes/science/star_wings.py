"""Wings of known sources taken off the fibres, their error kept in the variance.

The spectrum of each source is that of the fibres about it, neighbours solved for together; its light farther out is
that of the image of the field's stars. The image is not known exactly there: by how much is measured on the fibres
themselves, star by star. What is wrong is wrong by one factor along a spectrum, and smooth light is the business of
whoever fits a continuum: only the spectrum's structure adds to the variance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.params import Params
from tracecube.core.sources import FieldSolution, Sources
from tracecube.kernels.tangent_plane import sky_to_plane
from tracecube.recipes.science.fibre_sources import FibreSourceParams, GroupSpectra, extract_group, source_shares
from tracecube.recipes.science.star_lines import StarLight

__all__ = ["Bare", "StarWingsParams", "linked_groups", "take_off_wings"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class StarWingsParams(Params):
    """How far and how well wings are known.

    Parameters
    ----------
    reach : float, arcsec
        Light beyond is not taken off.
    smooth : float, Angstrom
        Structure of a spectrum is what is narrower.
    crosstalk : float
        Error of the light that a fibre is told to get from the next one on the detector, relative to the latter's.
    extraction : FibreSourceParams
    """

    reach: float = 15.0
    smooth: float = 60.0
    crosstalk: float = 0.002
    extraction: FibreSourceParams = FibreSourceParams()


class Bare(NamedTuple):
    """Fibres without the light of known sources, and the spectra of the sources that are among the fibres."""

    spectra: FibreSpectra
    sources: tuple[StarLight, ...]


class _Wings(NamedTuple):
    """Light of one source in fibres: rows (m,), light and its variance (m, n_pix)."""

    rows: I8
    light: F8
    variance: F8


def linked_groups(east: F8, north: F8, reach: float) -> list[I8]:
    """Sources that share fibres, linked from one to the next: numbers of the members of each group."""
    pairs = cKDTree(np.column_stack([east, north])).sparse_distance_matrix(
        cKDTree(np.column_stack([east, north])), reach, output_type="coo_matrix"
    )
    _, label = connected_components(pairs.tocsr(), directed=False)
    return [np.flatnonzero(label == number) for number in np.unique(label)]


def take_off_wings(
    spectra: FibreSpectra, sources: Sources, solution: FieldSolution, params: StarWingsParams = StarWingsParams()
) -> Bare:
    """Take the light of all known sources off the fibres.

    Parameters
    ----------
    spectra : FibreSpectra
        Calibrated, with places on the sky.
    sources : Sources
    solution : FieldSolution

    Returns
    -------
    Bare
        Without their light, the error of it in the variance. Near the sources themselves nothing sensible is left:
        what is there is in their spectra.
    """
    flux = spectra.flux.astype(np.float64)
    variance = spectra.variance.astype(np.float64) + _crosstalk(spectra, params)
    places = _plane(spectra.ra, spectra.dec, solution)
    at = _plane(np.asarray(sources.ra, float), np.asarray(sources.dec, float), solution)
    near = _near(places, at, params.reach)
    at = (at[0][near], at[1][near])
    light = np.nan_to_num(np.asarray(sources.flux, float)[near])
    groups = linked_groups(*at, params.extraction.reach) if near.size else []
    found: list[StarLight] = []
    # The brightest first: what is found of the fainter is then without its wings.
    for members in sorted(groups, key=lambda one: -float(light[one].max())):
        here = (at[0][members], at[1][members])
        group = extract_group(replace(spectra, flux=flux), places, here, solution, params.extraction)
        for k in range(len(members)):
            one = _wings(replace(spectra, flux=flux), places, (here[0][k], here[1][k]), (group, k), solution, params)
            flux[one.rows] -= one.light
            variance[one.rows] += one.variance
            found.append(_light(int(near[members[k]]), group, k))
    return Bare(replace(spectra, flux=flux, variance=variance), tuple(found))


def _light(number: int, group: GroupSpectra, k: int) -> StarLight:
    """Return the spectrum of a member of a group."""
    good = (group.flags[k] == 0) & np.isfinite(group.flux[k]) & np.isfinite(group.variance[k])
    good &= (group.variance[k] > 0) & np.isfinite(group.lsf_sigma[k])
    columns = (group.flux[k], group.variance[k], group.covariance[k], group.lsf_sigma[k])
    return StarLight(number, group.wave, *columns, good)


def _near(places: tuple[F8, F8], at: tuple[F8, F8], reach: float) -> I8:
    """Numbers of the sources that have a fibre within reach."""
    known = np.isfinite(places[0]) & np.isfinite(places[1])
    if not known.any() or at[0].size == 0:
        return np.empty(0, np.int64)
    distance, _ = cKDTree(np.column_stack(places)[known]).query(np.column_stack(at))
    return np.flatnonzero(distance < reach)


def _crosstalk(spectra: FibreSpectra, params: StarWingsParams) -> F8:
    """Variance that the structure of the next fibres' spectra leaves in a fibre, (n, n_pix)."""
    light = np.where((spectra.flags & NOT_USABLE) == 0, np.nan_to_num(spectra.flux), 0.0).astype(np.float64)
    square = _structure(light, spectra.wave, params.smooth) ** 2
    next_to = (spectra.unit[1:] == spectra.unit[:-1]) & (spectra.amp[1:] == spectra.amp[:-1])
    next_to &= (spectra.exp[1:] == spectra.exp[:-1]) & (np.abs(np.diff(spectra.fibre)) == 1)
    out = np.zeros_like(square)
    out[1:] += np.where(next_to[:, None], square[:-1], 0.0)
    out[:-1] += np.where(next_to[:, None], square[1:], 0.0)
    return params.crosstalk**2 * out


def _structure(light: F8, wave: FloatArray, smooth: float) -> F8:
    """What is narrower in spectra than ``smooth`` (Angstrom)."""
    pixel = float(np.nanmedian(np.abs(np.gradient(np.asarray(wave, np.float64), axis=1))))
    return np.asarray(light - uniform_filter1d(light, max(round(smooth / pixel), 3), axis=1, mode="nearest"))


def _plane(ra: FloatArray, dec: FloatArray, solution: FieldSolution) -> tuple[F8, F8]:
    return sky_to_plane(np.asarray(ra, float), np.asarray(dec, float), solution.ra0, solution.dec0)


def _wings(
    spectra: FibreSpectra,
    places: tuple[F8, F8],
    source: tuple[float, float],
    spectrum: tuple[GroupSpectra, int],
    solution: FieldSolution,
    params: StarWingsParams,
) -> _Wings:
    """Light of a source in all fibres that it reaches."""
    group, k = spectrum
    level, sigma2 = group.flux[k], group.variance[k]
    ok = np.isfinite(level) & (group.flags[k] == 0)
    distance = np.hypot(places[0] - source[0], places[1] - source[1])
    rows = np.flatnonzero(np.nan_to_num(distance, nan=np.inf) < params.reach)
    if rows.size == 0 or ok.sum() < 2:  # noqa: PLR2004 - a line needs two points
        return _Wings(rows[:0], np.empty((0, spectra.flux.shape[1])), np.empty((0, spectra.flux.shape[1])))
    at = (np.array([source[0]]), np.array([source[1]]))
    share = source_shares(spectra, rows, places, at, solution, params.extraction.radius)[0]
    wave = np.nan_to_num(np.asarray(spectra.wave[rows], np.float64), nan=float(group.wave[0]))
    light = share * np.interp(wave, group.wave[ok], level[ok])
    structure = _structure(light, spectra.wave[rows], params.smooth)
    noise = share**2 * np.interp(wave, group.wave[ok], sigma2[ok])
    error = _relative_error(spectra, rows, light, distance[rows] > params.extraction.reach, solution.model_error)
    return _Wings(rows, light, noise + (error * structure) ** 2)


def _relative_error(spectra: FibreSpectra, rows: I8, light: F8, outside: NDArray[np.bool_], least: float) -> float:
    """Relative error of the image outside the core, from the mean residual of each fibre; not below ``least``.

    Fibres that hold other light would count as error: the median of squares over their expectation is taken.
    """
    ok = ((spectra.flags[rows] & NOT_USABLE) == 0) & (spectra.dq[rows] == 0)[:, None]
    ok &= np.isfinite(spectra.flux[rows]) & (spectra.variance[rows] > 0) & outside[:, None]
    weight = np.where(ok, 1.0 / np.where(ok, spectra.variance[rows], 1.0), 0.0)
    total = weight.sum(axis=1)
    used = total > 0
    if used.sum() < 5:  # noqa: PLR2004 - no median of fewer
        return least
    rest = np.sum(weight * np.where(ok, spectra.flux[rows] - light, 0.0), axis=1)[used] / total[used]
    mean = np.sum(weight * light, axis=1)[used] / total[used]
    sure = mean**2 > 25.0 / total[used]  # light five times its error
    if sure.sum() < 5:  # noqa: PLR2004
        return least
    # The median of the square of a unit Gaussian is 0.455.
    excess = float(np.median((rest[sure] ** 2 - 0.455 / total[used][sure]) / mean[sure] ** 2)) / 0.455
    return max(least, float(np.sqrt(max(excess, 0.0))))

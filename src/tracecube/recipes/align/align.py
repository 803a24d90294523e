"""From the white images of exposures to their offsets, flux scales and backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.recipes.align.network import Link, Network, solve_network
from tracecube.recipes.align.pairs import Pair, Search, measure_pair
from tracecube.recipes.align.sources import Detected, SourceParams, detect
from tracecube.recipes.align.white import White

__all__ = ["AlignParams", "Aligned", "align"]

F8 = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]


class AlignParams(SourceParams):
    """Numbers of the alignment, by the names that observatories use."""

    rsearch: tuple[float, ...] = Field(
        default=(30.0, 4.0, 2.0, 0.8),
        description="Radii of successive searches, arcsec",
    )
    nbins: int = Field(default=60, ge=4, description="Bins of the histogram of the first search, along each axis")
    weight: bool = Field(default=True, description="Pixels count by their variance")
    override_detection: bool = Field(
        default=False, description="Sources of a SOURCE_LIST in the raw folder, and nothing else, tell of the offsets"
    )


class Aligned(NamedTuple):
    """What alignment found.

    Parameters
    ----------
    shift : array (n, 2), px
        Displacement against the reference (y, x), NaN where nothing tells.
    shift_covariance : array (n, 2, 2)
    flux, flux_error : array (n,)
        Flux of the exposure over that of the reference.
    background, background_error : array (n,)
    pairs : list of (int, int, Pair)
    place : Network
        Of the displacements.
    sources : list of Detected
    """

    shift: F8
    shift_covariance: F8
    flux: F8
    flux_error: F8
    background: F8
    background_error: F8
    pairs: list[tuple[int, int, Pair]]
    place: Network
    sources: list[Detected]


def align(
    images: Sequence[White], params: AlignParams, *, listed: Sequence[Floats] | None = None, reference: int = 0
) -> Aligned:
    """Measure offsets, flux scales and backgrounds against one of the exposures.

    Parameters
    ----------
    images : sequence of White
    params : AlignParams
    listed : sequence of array (k, 2), px
        Sources of each image (y, x) that take the place of those found; None without such lists.
    reference : int
    """
    found = [detect(one.data, one.variance, one.known, params) for one in images]
    places = [one.value[:, :2] for one in found] if listed is None else list(listed)
    search = Search(params.rsearch, params.nbins, 1.7 * params.fwhm)
    pairs = []
    for i, j in combinations(range(len(images)), 2):
        pair = measure_pair(images[i], images[j], (places[i], places[j]), search, listed=listed is not None)
        pairs.append((i, j, pair))
    place = solve_network([_link(i, j, one) for i, j, one in pairs if one.fit], len(images), reference, size=2)
    kept = [one for one, own in zip([one for one in pairs if one[2].fit], place.used, strict=True) if own]
    flux = solve_network([_scale(i, j, one) for i, j, one in kept], len(images), reference, size=1)
    ratio = np.exp(flux.value[:, 0])
    level = solve_network([_level(i, j, one, ratio) for i, j, one in kept], len(images), reference, size=1)
    return Aligned(
        shift=place.value,
        shift_covariance=place.covariance,
        flux=ratio,
        flux_error=ratio * np.sqrt(flux.covariance[:, 0, 0]),
        background=level.value[:, 0] * ratio,
        background_error=ratio * np.sqrt(level.covariance[:, 0, 0]),
        pairs=pairs,
        place=place,
        sources=found,
    )


def _link(i: int, j: int, pair: Pair) -> Link:
    fit = pair.fit
    assert fit is not None
    floor = max(fit.chi2, 1.0)
    return Link(
        i,
        j,
        fit.value[:2],
        fit.of_first[:2, :2] * floor,
        fit.of_second[:2, :2] * floor,
        pair.map_first,
        pair.map_second,
    )


def _scale(i: int, j: int, pair: Pair) -> Link:
    fit = pair.fit
    assert fit is not None
    floor = max(fit.chi2, 1.0)
    parts = [part[2:3, 2:3] / fit.value[2] ** 2 * floor for part in (fit.of_first, fit.of_second)]
    return Link(i, j, np.log(fit.value[2:3]), parts[0], parts[1], pair.map_first, pair.map_second)


def _level(i: int, j: int, pair: Pair, ratio: F8) -> Link:
    """Return the difference of the backgrounds over the flux of either exposure: b_j / s_j - b_i / s_i."""
    fit = pair.fit
    assert fit is not None
    floor = max(fit.chi2, 1.0)
    parts = [part[4:5, 4:5] / ratio[j] ** 2 * floor for part in (fit.of_first, fit.of_second)]
    return Link(i, j, fit.value[4:5] / ratio[j], parts[0], parts[1], pair.map_first, pair.map_second)

"""The ground beneath the fibres: how the level of an amplifier's rows wanders, from its own blank fibres.

The overscan tells the level of a row to a tenth of an electron, which is half an electron and more under a fibre, alike
in its neighbours: as much as a faint galaxy. A hundred fibres that see the sky alone tell it better. Fibre by fibre, it
is what is left beside the sky: the same number of electrons along a spectrum, wandering from fibre to fibre
(`kernels/wandering.py`). What the sky, the illumination and its colour may take of it is found with it, so that neither
is taken for the other; the fibres' throughputs scatter. Fibres that hold light tell nothing, their ground is that of
their neighbours on the detector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.kernels.empty_level import empty_level
from tracecube.kernels.wandering import walk_covariance, wandering_scale
from tracecube.recipes.sky.extended_light import MISS
from tracecube.recipes.sky.fibre_illumination import Illumination

__all__ = ["FibreBins", "Ground", "amplifier_blank", "bin_fibres", "find_ground", "lit_fibres", "source_light"]

F8 = NDArray[np.float64]

_BINS = 8  # along a spectrum: the sky is three times as bright at one end as at the other
_LIT, _CUT = 1.0, 3.0  # errors of a fibre above which its source's light counts, and that it may differ from it
_UNKNOWN = 1e3  # relative error of a fibre's light that may be any
_MOTLEY = 0.05  # of its light by which the colour of a fibre in a source may differ from the source's
# of stars' light in it by which its colour may: eight arcsec off, refraction of 0.7 arcsec changes wings by 0.6, seeing
# that goes as wavelength to the -0.2 by 0.5 from end to end, and stars have colours of their own
_WINGS = 1.0
_COLOUR = 0.01  # by which the colour of a bundle's illumination is expected to differ from that of all
_TINT = 0.3  # by which the colour of a source may differ from what its fibres show with the ground in them
_SHIFTS = 3  # degree to which a source's place changes along a spectrum
_REFRACTED = 1.0  # arcsec by which it does
_FREE = 0.1  # by which the sky and a bundle may be off, relative: as good as free
_MOST = 48  # amplifiers that tell the scale of the wandering
_TURNS = 40  # of the search for an amplifier's empty fibres
_FEW = 8  # blank fibres of an amplifier: fewer, and it is its ground that is off
_LEAST = 0.02  # size of a wandering that is none, over the largest
_LARGEST = 3.0  # sizes of the wandering over the error that is stated: more is light


class FibreBins(NamedTuple):
    """Residuals of one detector's fibres in a few bins of wavelength.

    Parameters
    ----------
    rest, model, variance : array (n, b), electron a sample
        Mean residual, mean of the sky, variance of the former; infinite where too few samples are blank.
    row : int array (n,)
        Amplifier of each fibre: 0, 1, ... over all detectors.
    bundle : int array (n,)
    place : array (n,)
        Number of the fibre in its amplifier.
    at : array (n, 2)
        Place in the bundle, in units of the gradient's.
    stated : array (n,), electron a sample
        Error of the ground as the overscan has it.
    light : array (n, b), electron a sample
        What a fibre's own light may add: the sky's for one that sees the sky alone, whose throughput is not quite
        known, and a source's, as bright as it is, for one that holds its light.
    lit : bool array (n,)
        Fibres that hold the light of an extended source, which is in their ``rest``. They tell the ground as far as
        its colour is not theirs.
    share : array (n,)
        Light of sources over that of the sky, by the model.
    steep : array (n, 2), 1/arcsec
        How the source's light changes with place, over it: refraction shows each colour at its own. 0 where none is.
    wings : array (n, b), electron a sample
        Light of stars' wings in it.
    """

    rest: F8
    model: F8
    variance: F8
    row: IntArray
    bundle: IntArray
    place: F8
    at: F8
    stated: F8
    light: F8
    lit: BoolArray
    share: F8
    steep: F8
    wings: F8


class Ground(NamedTuple):
    """Level beneath each fibre, electron a sample, arrays (n,), and how it wanders.

    Parameters
    ----------
    level, error : array (n,), electron a sample
        The error is that of ground and illumination as they count together; NaN where no ground was sought.
    told : bool array (n,)
        Fibres that it was found from: their own noise is in it.
    size : float, electron
        0 where none was seen, NaN where none was sought.
    length : float
        Correlation length, fibres.
    """

    level: F8
    error: F8
    told: BoolArray
    size: float
    length: float

    @classmethod
    def unknown(cls, fibres: int) -> Ground:
        """Return the ground of fibres that nothing tells: none is taken off, and its error is not known."""
        none = np.zeros(fibres)
        return cls(none, none + np.nan, none > 0, float("nan"), float("nan"))


def bin_fibres(rest: FloatArray, model: FloatArray, variance: FloatArray, use: BoolArray) -> tuple[F8, F8, F8]:
    """Return means of residuals and sky (n, b) over a few stretches of each spectrum, and the variance of the former.

    Weights are alike in a stretch, lest noise weighs itself.
    """
    parts = np.array_split(np.arange(rest.shape[1]), _BINS)
    out = np.zeros((3, len(rest), _BINS))
    for b, part in enumerate(parts):
        good = use[:, part]
        count = good.sum(axis=1)
        for k, values in enumerate((rest, model, variance)):
            out[k, :, b] = np.where(good, values[:, part], 0.0).sum(axis=1, dtype=float)
        lacking = count < 0.3 * part.size
        out[:, :, b] /= np.maximum(count, 1)
        out[2, :, b] = np.where(lacking, np.inf, out[2, :, b] / np.maximum(count, 1))
    return out[0], out[1], out[2]


def amplifier_blank(levels: tuple[FloatArray, FloatArray], found: Illumination, row: IntArray, cut: float) -> BoolArray:
    """Return which fibres (n,) tell the ground: blank ones; of an amplifier with few, those as dark as its empty ones.

    Where the ground is far off, no fibre of an amplifier looks blank beside the others of its bundle.

    Parameters
    ----------
    levels : (array (n,), array (n,))
        Brightness of each fibre over the model of the sky, NaN where it is not known, and its error.
    found : Illumination
    row : int array (n,)
        Amplifier of each fibre.
    cut : float
        Errors up to which a fibre is blank.
    """
    known = np.isfinite(levels[0]) & np.isfinite(levels[1])
    told = known & ~found.filled[found.owner] & ~_is_lit(levels[1], found)
    told &= np.abs(_away(levels, found)) < cut
    few = np.flatnonzero(np.bincount(row, told) < _FEW)
    own = np.flatnonzero(known & np.isin(row, few) & ~found.filled[found.owner])
    if own.size == 0:
        return told
    ratio, error = (np.asarray(one, np.float64)[own] for one in levels)
    beside = found.beside[own]
    sigma = np.sqrt(error**2 + found.scatter**2 + (MISS * beside) ** 2)
    away = ratio - found.light[own] - beside
    _, group = np.unique(row[own], return_inverse=True)
    amps = empty_level(away, sigma, group, np.zeros((own.size, 0)), np.zeros(0), turns=_TURNS)
    with np.errstate(invalid="ignore"):
        told[own] = np.abs(away - amps.level[group]) < cut * np.hypot(sigma, amps.scatter)
    return told


def lit_fibres(levels: tuple[FloatArray, FloatArray], found: Illumination) -> BoolArray:
    """Return which fibres (n,) hold the light of an extended source, as its model has it, and no star's.

    Parameters
    ----------
    levels : (array (n,), array (n,))
        Brightness of each fibre over the model of the sky, NaN where it is not known, and its error.
    found : Illumination
    """
    return np.asarray((np.abs(_away(levels, found)) < _CUT) & _is_lit(levels[1], found))


def _is_lit(error: FloatArray, found: Illumination) -> BoolArray:
    """Return which fibres (n,) a source lights, by its model: had their noise a say, dim ones alone would be dark."""
    with np.errstate(invalid="ignore"):
        return np.asarray(found.beside > _LIT * error)


def _away(levels: tuple[FloatArray, FloatArray], found: Illumination) -> FloatArray:
    """Errors (n,) by which fibres differ from sky and model of sources; infinite where they are not known."""
    ratio, error = (np.asarray(one, np.float64) for one in levels)
    with np.errstate(invalid="ignore"):
        sigma = np.sqrt(error**2 + found.scatter**2 + (MISS * found.beside) ** 2)
        return np.nan_to_num((ratio - found.light - found.beside) / sigma, nan=np.inf)


def source_light(bins: tuple[F8, F8, F8], beside: F8, bundle: IntArray, lit: BoolArray) -> tuple[F8, F8]:
    """Return what is left (n, b) beside the sky alone, and the spectrum (n, b) of what a fibre's own light may be.

    Of fibres in a source all of its light is left, whatever its colour, and their own light is the source's.

    Parameters
    ----------
    bins : (array (n, b), array (n, b), array (n, b))
        What is left beside the sky and the model of the sources, the sky, and the variance of the former.
    beside : array (n,)
        Light by the model over that of the sky.
    bundle : int array (n,)
    lit : bool array (n,)
    """
    rest, model, variance = bins
    grey = np.where(lit, beside, 0.0)[:, None] * model
    rest, light = rest + grey, model.copy()
    for slot in np.unique(bundle[lit]):
        own = np.flatnonzero(lit & (bundle == slot))
        weight = np.where(np.isfinite(variance[own]), 1.0 / variance[own], 0.0)
        given = grey[own]
        with np.errstate(invalid="ignore", divide="ignore"):
            tint = (weight * given * rest[own]).sum(axis=0) / (weight * given**2).sum(axis=0)
        light[own] = given * np.where(np.isfinite(tint), tint, 1.0)
    return rest, light


def find_ground(
    bins: FibreBins, told: BoolArray, blank: BoolArray, scatter: float, *, colours: int, slope: float
) -> Ground:
    """Find the ground beneath all fibres of an exposure.

    Parameters
    ----------
    bins : FibreBins
        Of all detectors, one after the other.
    told : bool array (n,)
        Fibres that tell the ground, as of `amplifier_blank`.
    blank : bool array (n,)
        Fibres that see the sky alone: they tell how the ground wanders.
    scatter : float
        Of the fibres' throughputs, relative.
    colours : int
        Degree to which a bundle's illumination changes along a spectrum.
    slope : float
        Gradient that is expected of the illumination, in units of ``at``.

    Returns
    -------
    Ground
        Unknown where no fibre tells it, or the overscan states no error, beside which light could be told from it.
    """
    use = (told | bins.lit)[:, None] & np.isfinite(bins.variance)
    sure: BoolArray = np.asarray(use.any(axis=1) & blank)
    most = _LARGEST * float(np.median(bins.stated[sure])) if sure.any() else 0.0
    if most == 0.0:
        return Ground.unknown(told.size)
    size, length = _scale(bins, use, sure, scatter, most)
    system = _System(bins, use, scatter, colours)
    prior = system.prior(slope)
    amps = [np.flatnonzero(bins.row == k) for k in np.unique(bins.row)]
    inverse = [_own_inverse(bins.place[own], system.own[own], (size, length, most)) for own in amps]
    matrix, right = system.matrix + np.diag(prior), system.right.copy()
    columns = [system.columns(int(system.owner[own[0]])) for own in amps]
    for own, at, tied in zip(amps, columns, inverse, strict=True):
        cross = system.beside[own]
        matrix[np.ix_(at, at)] -= cross.T @ tied @ cross
        right[at] -= cross.T @ (tied @ system.light[own])
    covariance = np.linalg.pinv(matrix, hermitian=True)
    shared = covariance @ right
    level, error = np.zeros(told.size), np.zeros(told.size)
    for own, at, tied in zip(amps, columns, inverse, strict=True):
        level[own] = tied @ (system.light[own] - system.beside[own] @ shared[at])
        # of the ground and of all that was found with it, as they count together in a fibre
        along = system.mean[own] - tied @ system.beside[own]
        error[own] = np.sqrt(np.diag(tied) + np.einsum("nq,nq->n", along @ covariance[np.ix_(at, at)], along))
    return Ground(level, error, np.asarray(use.any(axis=1) & ~bins.lit), size, length)


def _own_inverse(places: F8, information: F8, about: tuple[float, float, float]) -> F8:
    """Covariance (n, n) of the ground of one amplifier, were all else known: it wanders, about a level of its own."""
    size, length, most = about
    prior = walk_covariance(places, max(size, _LEAST * most), length) + most**2
    return np.asarray(np.linalg.inv(np.linalg.inv(prior) + np.diag(information)))


def _scale(bins: FibreBins, use: BoolArray, told: BoolArray, scatter: float, most: float) -> tuple[float, float]:
    """Size and length of the wandering that amplifiers show, beside a level and a gradient of the sky."""
    weight = np.where(use, 1.0 / np.where(use, bins.variance, 1.0), 0.0)
    total = np.maximum(weight.sum(axis=1), 1e-300)
    rest, model = ((weight * part).sum(axis=1) / total for part in (bins.rest, bins.model))
    amps = np.unique(bins.row[told])
    series = []
    for k in amps[:: max(amps.size // _MOST, 1)]:
        own = np.flatnonzero((bins.row == k) & told)
        terms = model[own, None] * np.column_stack([np.ones(own.size), bins.at[own]])
        series.append((bins.place[own], rest[own], 1.0 / total[own] + (scatter * model[own]) ** 2, terms))
    return wandering_scale(series, most)


class _System:
    """Normal equations of the ground of each fibre and of what is found with it.

    That is a correction of the sky in each bin, two gradients, and for each bundle a level and its change along the
    spectrum, and the colour of its source; of a fibre only those of its own bundle count. One bundle is set up after
    the other: of a whole field all terms of all fibres do not fit into little memory.
    """

    def __init__(self, bins: FibreBins, use: BoolArray, scatter: float, colours: int) -> None:
        self.bundles, self.owner = np.unique(bins.bundle, return_inverse=True)
        self.lit = np.unique(bins.bundle[bins.lit])
        self.colours, self.source = colours + 1, _BINS + 2 * _SHIFTS
        # the last block of a source's terms is that of all bundles without one, in which no fibre has any
        self.first = _BINS + 2 + self.bundles.size * self.colours
        self.size = self.first + (self.lit.size + 1) * self.source
        terms = _BINS + 2 + self.colours
        self.own, self.light = np.zeros(len(use)), np.zeros(len(use))
        self.beside, self.mean = np.zeros((len(use), terms + self.source)), np.zeros((len(use), terms + self.source))
        self.matrix, self.right = np.zeros((self.size, self.size)), np.zeros(self.size)
        for k in range(self.bundles.size):
            mine, at = np.flatnonzero(self.owner == k), self.columns(k)
            one = FibreBins._make(part[mine] for part in bins)
            design = self._design(one)
            weighted = _weighting(one, use[mine], scatter)
            heavy = weighted(design)
            self.own[mine] = weighted(np.ones_like(one.model)).sum(axis=1)
            self.light[mine] = weighted(one.rest).sum(axis=1)
            self.beside[mine] = heavy.sum(axis=1)
            # what is unknown of a source's light is no error of what is beneath it
            self.mean[mine, :terms] = design[:, :, :terms].mean(axis=1)
            self.matrix[np.ix_(at, at)] += np.einsum("nbq,nbr->qr", design, heavy, optimize=True)
            self.right[at] += np.einsum("nbq,nb->q", heavy, one.rest)

    def columns(self, bundle: int) -> IntArray:
        """Columns of the terms that count for a bundle's fibres."""
        colour = _BINS + 2 + bundle * self.colours
        found = np.flatnonzero(self.lit == self.bundles[bundle])
        source = self.first + (int(found[0]) if found.size else self.lit.size) * self.source
        return np.concatenate(
            [np.arange(_BINS + 2), np.arange(colour, colour + self.colours), np.arange(source, source + self.source)]
        )

    def _design(self, bins: FibreBins) -> F8:
        """What each term adds to the bins of a bundle's fibres, (n, b, q)."""
        along, t = np.linspace(-1.0, 1.0, _BINS), bins.model[:, :, None]
        shine = np.where(bins.lit[:, None], bins.light, 0.0)[:, :, None]
        colour = t * np.polynomial.legendre.legvander(along, self.colours - 1)
        # each colour of a source is at its own place
        away = np.polynomial.legendre.legvander(along, _SHIFTS)[:, 1:]
        moved = bins.steep[:, None, :, None] * away[:, None, :]
        moved = shine * moved.reshape(*bins.model.shape, 2 * _SHIFTS)
        return np.concatenate(
            [t * np.eye(_BINS), t * bins.at[:, None, :], colour, shine * np.eye(_BINS), moved], axis=2
        )

    def prior(self, slope: float) -> F8:
        """Inverse variances (q,) of the terms beforehand; the sky and the levels are free."""
        bundle = np.concatenate([[_FREE**-2], np.full(self.colours - 1, _COLOUR**-2)])
        source = np.concatenate([np.full(_BINS, _TINT**-2), np.full(2 * _SHIFTS, _REFRACTED**-2)])
        sky = np.concatenate([np.full(_BINS, _FREE**-2), np.full(2, slope**-2)])
        return np.concatenate([sky, np.tile(bundle, self.bundles.size), np.tile(source, self.lit.size + 1)])


def _weighting(bins: FibreBins, use: BoolArray, scatter: float) -> Callable[[F8], F8]:
    """Return what weighs values (n, b, ...) of fibres by the inverse of their covariance.

    A fibre's throughput is wrong by one factor, or its light is any: Sherman & Morrison 1950, Ann. Math. Stat. 21, 124.
    """
    # the colour of a source is not the same all over it
    doubt = np.where(bins.lit[:, None], (_MOTLEY * bins.light) ** 2 + (_WINGS * bins.wings) ** 2, 0.0)
    weight = np.where(use, 1.0 / np.where(use, bins.variance + doubt, 1.0), 0.0)
    t = np.where(use, bins.light, 0.0)
    tilt = weight * t
    spread = np.where(bins.lit, _UNKNOWN, np.hypot(scatter, MISS * bins.share)) ** 2
    drop = spread / (1.0 + spread * (tilt * t).sum(axis=1))

    def weighted(values: F8) -> F8:
        back = np.einsum("nb,nb...->n...", tilt, values)
        outer = np.einsum("n,nb,n...->nb...", drop, tilt, back)
        return np.asarray(np.einsum("nb,nb...->nb...", weight, values) - outer)

    return weighted

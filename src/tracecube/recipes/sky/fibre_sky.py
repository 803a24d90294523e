"""The sky of an exposure, from all fibres that see nothing else, on the pixels they were measured with.

Nothing is rectified: one spline in wavelength, seen through each fibre's own pixels and line-spread function, is solved
for from all fibres of all detectors at once, with the illumination of each bundle (its level, one gradient, its colour)
and the shift in wavelength of each detector found on the way. What is found is small, and is taken off the fibres of
one bundle after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.polynomial import legendre
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fibre_light import SkyModel
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.common_spectrum import CommonSpectrum, evaluate
from tracecube.kernels.robust import known_median
from tracecube.recipes.sky.fibre_illumination import Illumination, illumination
from tracecube.recipes.sky.fibre_throughput import rows_of
from tracecube.recipes.sky.sky_anchor import SkyAnchor, find_anchor
from tracecube.recipes.sky.sky_errors import sky_covariance, sky_variance
from tracecube.recipes.sky.sky_fibres import (
    LOW,
    SkyFibres,
    excess_width,
    gather_fibres,
    own_shift,
    seen_by,
    solve_all,
)

__all__ = ["SkyParams", "fit_sky", "subtract_sky"]

_TURNS, _LAST_TURNS = 40, 300  # steps of the search for the ground, before and in the last turn
_FILLED = "its emptiest fibres are brighter than the other bundles' illumination allows: it has their sky"


class SkyParams(Params):
    """How the sky of an exposure is modelled."""

    knots: float = Field(1.0, gt=0.2, description="spacing of the spline's knots, Angstrom")
    rounds: int = Field(8, ge=2, le=20, description="turns of sky, illumination, shifts and choice of fibres")
    clip: float = Field(5.0, gt=2.0, description="deviations beyond which a sample is left out of the sky")
    source: float = Field(2.5, gt=1.0, description="deviations from the sky up to which a fibre is blank")
    least: int = Field(20, ge=3, description="fibres that the sky needs")
    slope: float = Field(4e-4, gt=0.0, description="gradient that is expected of the illumination, share per arcsec")
    colour: int = Field(2, ge=0, le=6, description="degree by which a bundle's illumination changes with wavelength")


def fit_sky(
    given: Iterable[tuple[FibreSpectra, FloatArray]],
    params: SkyParams,
    places: Mapping[int, tuple[float, float]] | None = None,
    lines: tuple[float, ...] = (),
) -> tuple[SkyModel, tuple[QualityNumber, ...], tuple[str, ...]]:
    """Find the sky of an exposure, and how each fibre sees it.

    Parameters
    ----------
    given : iterable of (FibreSpectra, array (n, m))
        Of every detector (of one bundle each), electrons a pixel, and the relative throughput of its fibres, NaN
        where a fibre is dead.
    params : SkyParams
    places : mapping, optional
        Places of bundles in the focal plane by slot, arcsec.
    lines : tuple of float, optional
        Wavelengths of lines of the sky, Angstrom: they tell what the shifts of all detectors have in common. Without
        one that stands out, that is left as the calibrations have it.

    Returns
    -------
    model : SkyModel
    quality, caveats : tuple

    Raises
    ------
    BadData
        Too few fibres see the sky alone.
    """
    fit = _Fit(*gather_fibres(given), params)
    if sum(int(b.sum()) for b in fit.blank) < params.least:
        raise BadData("sky: too few fibres have light", hint="look at the frames and their throughput")
    for turn in range(params.rounds):
        fit.turn(places or {}, first=turn == 0, last=turn == params.rounds - 1)
    anchor = fit.anchored(lines)
    return (
        fit.model(),
        (*_quality(fit), *_anchor_numbers(anchor)),
        (*_caveats(fit, params.least), *_adrift(anchor, lines)),
    )


class _Fit:
    """The state of the fit: sky, illumination and its colour, clean samples and blank fibres."""

    common: CommonSpectrum
    found: Illumination

    def __init__(self, fibres: list[SkyFibres], reference: FloatArray, params: SkyParams) -> None:
        self.fibres, self.reference, self.params = fibres, reference, params
        self.cuts = np.cumsum([len(one.slot) for one in fibres])[:-1]
        self.light: list[FloatArray] = [np.ones(len(one.slot)) for one in fibres]
        self.blank: list[BoolArray] = [one.good.mean(axis=1) > 0.5 for one in fibres]
        self.clean: list[BoolArray] = [one.good for one in fibres]
        self.weight = [_column_weight(one) for one in fibres]
        self.grey: FloatArray = np.concatenate([[1.0], np.zeros(params.colour)])
        self.colour = {int(one.slot[0]): self.grey for one in fibres}

    def split(self, values: FloatArray) -> list[FloatArray]:
        """Values of all fibres, one array a detector."""
        return list(np.split(values, self.cuts))

    def tint(self, one: SkyFibres) -> FloatArray:
        """How the illumination of a detector's bundle changes along the spectrum, (n, m)."""
        return _along(one.wave, self.colour[int(one.slot[0])], self.reference[0])

    def parts(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Scale and weight of all samples, one detector after the other."""
        for k, one in enumerate(self.fibres):
            use = self.clean[k] & self.blank[k][:, None]
            yield one.expected * self.light[k][:, None] * self.tint(one), np.where(use, self.weight[k], 0.0)

    def turn(self, places: Mapping[int, tuple[float, float]], *, first: bool, last: bool) -> None:
        """Solve for the sky, then for what the fibres make of it."""
        params = self.params
        common = solve_all(self.fibres, self.parts(), params.knots)
        levels = []
        for k, one in enumerate(self.fibres):
            model, slope = seen_by(common, one)
            tint = self.tint(one)
            model, slope, g = model * tint, slope * tint, self.light[k][:, None]
            ratio, error = _levels(one, model, np.where(self.clean[k], self.weight[k], 0.0))
            levels.append((ratio, error))
            weight = np.where(self.clean[k] & self.blank[k][:, None], self.weight[k], 0.0)
            bright = np.where(np.isfinite(ratio), ratio, 1.0)[:, None]  # a source's light is no failure of its samples
            self.clean[k] = one.good & (np.abs((one.flux - model * bright) * np.sqrt(one.ivar)) < params.clip)
            if not first:
                one.shift += own_shift(one, model * g, slope * g, weight)
        ratio, error = (np.concatenate([one[i] for one in levels]) for i in range(2))
        self.found = illumination(
            self.fibres,
            (ratio, error),
            places,
            slope=params.slope,
            cut=(params.source, params.clip),
            least=params.least,
            turns=_LAST_TURNS if last else _TURNS,
        )
        mean = float(np.median(self.found.light[np.isfinite(ratio)]))
        self.light, self.blank = self.split(self.found.light / mean), list(np.split(self.found.blank, self.cuts))
        # the sky is the model times the levels: what light loses the sky gains, and empty fibres stay at it
        self.common = common._replace(coefficients=common.coefficients * mean)
        if params.colour and not last:
            self._follow_colour()

    def _follow_colour(self) -> None:
        """Fit how each bundle's blank fibres differ from the sky along the spectrum; their mean level stays.

        What all bundles have in common is the sky's: the mean colour is grey, or turns would let it wander.
        """
        terms = self.params.colour + 1
        colours: dict[int, FloatArray] = {}
        slots = np.array([int(one.slot[0]) for one in self.fibres])
        for slot in np.unique(slots):
            matrix, right, blank = np.zeros((terms, terms)), np.zeros(terms), 0
            for k in np.flatnonzero(slots == slot):
                one, rows = self.fibres[k], self.blank[k]
                if not rows.any():
                    continue
                model = (seen_by(self.common, one)[0] * self.light[k][:, None])[rows]
                basis = legendre.legvander(_scaled(one.wave[rows], self.reference[0]), terms - 1)
                weight = np.where(self.clean[k][rows], self.weight[k], 0.0) * model
                matrix += np.einsum("nm,nmj,nmk->jk", weight * model, basis, basis, optimize=True)
                right += np.einsum("nm,nmj->j", weight * one.flux[rows], basis)
                blank += int(rows.sum())
            if blank >= self.params.least:
                found = np.linalg.solve(matrix, right)
                colours[int(slot)] = found / found[0]
        if colours:
            common = np.mean(list(colours.values()), axis=0)
            self.colour |= {slot: own - common + self.grey for slot, own in colours.items()}

    def anchored(self, lines: tuple[float, ...]) -> SkyAnchor | None:
        """Move wavelengths, and the sky with them, to where its lines belong; what fits the samples stays as it is."""
        sigma = (
            np.sqrt(np.maximum(np.interp(one.shifted, *self.reference) ** 2 + one.excess, 0.01)) for one in self.fibres
        )
        both = zip(self.fibres, self.parts(), sigma, strict=True)
        found = find_anchor(((one.shifted, scale, s, one.flux, w) for one, (scale, w), s in both), lines)
        sizes = np.array([int(rows.sum()) for rows in self.blank], float) + 1e-9
        offset = found.offset if found else float(np.average([one.shift for one in self.fibres], weights=sizes))
        for one in self.fibres:
            one.shift -= offset
        self.common = self.common._replace(first=self.common.first - offset)
        return found

    def model(self) -> SkyModel:
        """Put the noun together."""
        fibres, common = self.fibres, self.common
        unit, amp, fibre, exp = (np.concatenate([one.about[i] for one in fibres]) for i in range(4))
        return SkyModel(
            coefficients=common.coefficients,
            covariance=sky_covariance(fibres, self.parts(), common.first, common.step, common.coefficients.size),
            wave=self.reference[0],
            sigma=self.reference[1],
            unit=unit,
            amp=amp,
            fibre=fibre,
            exp=exp,
            light=np.concatenate(self.light),
            light_error=self.found.error / self.found.light * np.concatenate(self.light),
            colour=np.concatenate([np.tile(self.colour[int(one.slot[0])], (len(one.slot), 1)) for one in fibres]),
            shift=np.concatenate([np.full(len(one.slot), one.shift) for one in fibres]),
            blank=np.concatenate(self.blank).astype(np.int32),
            first=common.first,
            step=common.step,
        )


def _scaled(wave: FloatArray, grid: FloatArray) -> FloatArray:
    """Wavelengths from -1 to 1 between the ends of a grid."""
    return np.asarray((2.0 * wave - grid[0] - grid[-1]) / (grid[-1] - grid[0]))


def _along(wave: FloatArray, series: FloatArray, grid: FloatArray) -> FloatArray:
    """Legendre series (d,), or one a fibre (n, d), at wavelengths (n, m)."""
    terms = np.moveaxis(np.atleast_2d(series), 1, 0)[:, :, None]
    return np.asarray(legendre.legval(_scaled(wave, grid), terms, tensor=False))


def _column_weight(one: SkyFibres) -> FloatArray:
    """Inverse variance that is typical of a detector's column, (m,): a sample's own holds its noise.

    An estimate of the light is in every variance, and some of the sample's own noise in the estimate: what is low by
    chance would weigh more, and a mean of such samples be low by as many electrons as a share of the noise is there.
    """
    spread = np.where(one.good, one.ivar, np.nan)
    found = known_median(spread, axis=0)
    return np.asarray(np.nan_to_num(found), np.float32)


def _levels(one: SkyFibres, model: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how bright each fibre is over the model (n,), with its error; NaN for a fibre without samples."""
    power = (weight * model**2).sum(axis=1, dtype=float)
    spread = np.where(weight > 0, weight * model, 0.0) ** 2 / np.where(one.good, one.ivar, np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (weight * model * one.flux).sum(axis=1, dtype=float) / power
        error = np.sqrt(spread.sum(axis=1, dtype=float)) / power
    return np.where(power > 0, ratio, np.nan), np.where(power > 0, error, np.inf)


def subtract_sky(
    spectra: FibreSpectra, throughput: FloatArray, model: SkyModel, error: FloatArray | float = 0.0
) -> FibreSpectra:
    """Take the sky off fibres, divided by throughput and illumination, at wavelengths with the exposure's shift.

    The variance holds what is unknown of the sky itself, and what an error of the throughput leaves of the sky.

    Parameters
    ----------
    spectra : FibreSpectra
        Of the exposure of the model, electrons a pixel.
    throughput : array (n, m)
    model : SkyModel
    error : array (n, m)
        Relative error of the throughput.

    Raises
    ------
    BadData
        The model knows none of these fibres.
    """
    rows = rows_of(model, spectra)
    if (rows < 0).any():
        raise BadData(f"sky: unit {spectra.unit[0]} is none of the exposure's", hint="subtract its own sky")
    step = np.gradient(spectra.wave, axis=1)
    wave = spectra.wave + model.shift[rows][:, None]
    with np.errstate(invalid="ignore"):
        lost = ~(np.isfinite(throughput) & (throughput > LOW)) | (spectra.dq != 0)[:, None]
    lost |= (spectra.flags != 0) | ~np.isfinite(spectra.flux) | ~(spectra.variance > 0)
    excess = excess_width(spectra.wave, spectra.lsf_sigma, np.stack([model.wave, model.sigma]))
    common = CommonSpectrum(model.first, model.step, np.asarray(model.coefficients, np.float64))
    excess = np.where(lost, 0.0, excess)
    sky = np.nan_to_num(evaluate(common, wave, excess)[0]) * step
    error = np.where(lost, 0.0, error)
    # the noise of a fibre that the sky was found from is in the sky, too
    own = np.where(model.blank[rows] == 1, -1.0, 1.0)[:, None]
    shares = own * sky_variance(model, wave, excess) * step**2 + (error * sky) ** 2
    lost |= ~np.isfinite(shares)
    tint = _along(spectra.wave, np.asarray(model.colour, np.float64)[rows], np.asarray(model.wave, np.float64))
    factor = np.where(lost, 1.0, throughput * model.light[rows][:, None] * tint)
    shared = np.where(lost | np.roll(lost, -1, axis=0), 0.0, spectra.blend / (factor * np.roll(factor, -1, axis=0)))
    flags = spectra.flags | np.where(lost & (spectra.flags == 0), int(Flag.NOT_MEASURED), 0).astype(np.int32)
    dim = known_median(np.where(lost, np.nan, throughput), axis=1)
    return replace(
        spectra,
        flux=(spectra.flux / factor - sky).astype(np.float32),
        variance=_with_shares(spectra.variance / factor**2, np.where(lost, 0.0, shares)),
        blend=shared.astype(np.float32),
        flags=flags,
        wave=wave,
        sky=sky.astype(np.float32),
        box=None if spectra.box is None else (spectra.box / factor - sky).astype(np.float32),
        throughput=np.nan_to_num(dim * model.light[rows]),
        level_error=np.nan_to_num(known_median(np.where(lost, np.nan, error), axis=1)),
    )


def _with_shares(variance: FloatArray, shares: FloatArray) -> FloatArray:
    """Variance with what the sky adds or takes; a sample that alone tells of the sky keeps a tenth of its own."""
    return np.asarray(np.maximum(variance + shares, 0.1 * variance), np.float32)


def _caveats(fit: _Fit, least: int) -> tuple[str, ...]:
    """Say which bundles have too few blank fibres, and which are filled with light."""
    counts: dict[int, int] = {}
    for one, b in zip(fit.fibres, fit.blank, strict=True):
        counts[int(one.slot[0])] = counts.get(int(one.slot[0]), 0) + int(b.sum())
    filled = {int(slot) for slot, full in zip(fit.found.slots, fit.found.filled, strict=True) if full}
    few = [slot for slot, count in sorted(counts.items()) if count < least and slot not in filled]
    return (
        *(f"bundle {slot:03d}: {_FILLED}" for slot in sorted(filled)),
        *(f"bundle {slot:03d}: fewer than {least} fibres see the sky alone" for slot in few),
    )


def _adrift(anchor: SkyAnchor | None, lines: tuple[float, ...]) -> tuple[str, ...]:
    """Say so where lines were asked for and none was seen."""
    if anchor is not None or not lines:
        return ()
    names = ", ".join(f"{line:.0f}" for line in lines)
    return (f"none of the lines of the sky at {names} Angstrom stands out: wavelengths are as accurate as the arcs",)


def _anchor_numbers(anchor: SkyAnchor | None) -> tuple[QualityNumber, ...]:
    """Return how far the sky's lines lay off, with the error that is left to all wavelengths of the exposure."""
    if anchor is None:
        return ()
    each = (QualityNumber(f"WAVE ANCHOR {line:.0f}", value, "Angstrom") for line, value, _ in anchor.lines)
    return (
        QualityNumber("WAVE ANCHOR", anchor.offset, "Angstrom", low=-1.0, high=1.0),
        QualityNumber("WAVE ANCHOR ERROR", anchor.error, "Angstrom", high=0.05),
        *each,
    )


def _quality(fit: _Fit) -> tuple[QualityNumber, ...]:
    """Return the shifts of detectors, the illumination of bundles with its error, and how many fibres see sky alone."""
    numbers = []
    for one in fit.fibres:
        sides = "".join(sorted({str(amp)[:1] for amp in one.about[1]}))
        name = f"WAVE SHIFT {int(one.slot[0]):03d}{sides}"
        numbers.append(QualityNumber(name, one.shift, "Angstrom", low=-1.0, high=1.0))
    found = fit.found
    middle = float(np.median(found.level))
    for slot, level, error in zip(found.slots, found.level, found.level_error, strict=True):
        numbers.append(QualityNumber(f"ILLUMINATION {int(slot):03d}", float(level / middle), "", low=0.8, high=1.2))
        if np.isfinite(error):
            numbers.append(QualityNumber(f"ILLUMINATION ERROR {int(slot):03d}", float(error / middle), "", high=0.003))
    numbers.append(QualityNumber("LEVEL EXTRA SCATTER", found.scatter, "", high=0.01))
    numbers.append(QualityNumber("SKY FIBRES", float(sum(int(b.sum()) for b in fit.blank)), ""))
    return tuple(numbers)

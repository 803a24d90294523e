"""The sky of an exposure, from all fibres that see nothing else, on the pixels they were measured with.

Nothing is rectified: one spline in wavelength, seen through each fibre's own pixels and line-spread function, is solved
for from all fibres of all detectors at once, with the illumination of each bundle (its level, one gradient, its colour)
and the shift in wavelength of each detector found on the way. What is found is small, and is taken off the fibres of
one bundle after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.polynomial import legendre
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fibre_light import SkyModel
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.common_spectrum import CommonSpectrum
from tracecube.kernels.robust import known_median
from tracecube.recipes.sky.fibre_ground import (
    FibreBins,
    Ground,
    amplifier_blank,
    bin_fibres,
    find_ground,
    lit_fibres,
    source_light,
)
from tracecube.recipes.sky.fibre_illumination import HALF_BUNDLE, Illumination, illumination
from tracecube.recipes.sky.sky_anchor import SkyAnchor, find_anchor
from tracecube.recipes.sky.sky_errors import sky_covariance
from tracecube.recipes.sky.sky_fibres import SkyFibres, gather_fibres, own_shift, seen_by, solve_all
from tracecube.recipes.sky.sky_numbers import anchor_numbers, ground_caveats, sky_caveats, sky_numbers
from tracecube.recipes.sky.sky_subtraction import scaled, series_along

__all__ = ["SkyParams", "fit_sky"]

_TURNS, _LAST_TURNS = 40, 300  # steps of the search for the empty level, before and in the last turn


class SkyParams(Params):
    """How the sky of an exposure is modelled."""

    knots: float = Field(1.0, gt=0.2, description="spacing of the spline's knots, Angstrom")
    # the ground is sought in every second turn but the first and the last: fewer than four would not see it
    rounds: int = Field(8, ge=4, le=20, description="turns of sky, illumination, shifts, ground and choice of fibres")
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
        last = turn == params.rounds - 1
        fit.turn(places or {}, first=turn == 0, last=last, ground=turn % 2 == 0 and turn > 0 and not last)
    numbers, notes = anchor_numbers(fit.anchored(lines), lines)
    told = sky_numbers(fit.fibres, fit.blank, fit.found, fit.ground)
    said = (
        *sky_caveats(fit.fibres, fit.blank, fit.found, params.least),
        *ground_caveats(fit.ground, np.concatenate([one.ground_error for one in fit.fibres])),
    )
    return fit.model(), (*told, *numbers), (*said, *notes)


class _Fit:
    """The state of the fit: sky, illumination and its colour, ground, clean samples and blank fibres.

    Fluxes are less the ground.
    """

    common: CommonSpectrum
    found: Illumination

    def __init__(self, fibres: list[SkyFibres], reference: FloatArray, params: SkyParams) -> None:
        self.fibres, self.reference, self.params = fibres, reference, params
        self.cuts = np.cumsum([len(one.slot) for one in fibres])[:-1]
        self.light: list[FloatArray] = [np.ones(len(one.slot)) for one in fibres]
        self.blank: list[BoolArray] = [one.good.mean(axis=1) > 0.5 for one in fibres]
        self.clean: list[BoolArray] = [one.good for one in fibres]
        self.weight = [_column_weight(one) for one in fibres]
        self.ground = Ground.unknown(sum(len(one.slot) for one in fibres))
        self.grey: FloatArray = np.concatenate([[1.0], np.zeros(params.colour)])
        self.colour = {int(one.slot[0]): self.grey for one in fibres}

    def split(self, values: FloatArray) -> list[FloatArray]:
        """Values of all fibres, one array a detector."""
        return list(np.split(values, self.cuts))

    def tint(self, one: SkyFibres) -> FloatArray:
        """How the illumination of a detector's bundle changes along the spectrum, (n, m)."""
        return series_along(one.wave, self.colour[int(one.slot[0])], self.reference[0])

    def parts(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Scale and weight of all samples, one detector after the other."""
        for k, one in enumerate(self.fibres):
            use = self.clean[k] & self.blank[k][:, None]
            yield one.expected * self.light[k][:, None] * self.tint(one), np.where(use, self.weight[k], 0.0)

    def turn(self, places: Mapping[int, tuple[float, float]], *, first: bool, last: bool, ground: bool) -> None:
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
        if ground:
            self._follow_ground((ratio, error), mean)

    def _follow_ground(self, levels: tuple[FloatArray, FloatArray], mean: float) -> None:
        """Find the ground beneath the fibres anew, from levels of all fibres and their errors, in units of ``mean``."""
        parts, rows, count = [], [], 0
        beside = self.found.beside / mean
        for k, (one, extra) in enumerate(zip(self.fibres, self.split(beside), strict=True)):
            sky = seen_by(self.common, one)[0] * self.tint(one)
            model = sky * self.light[k][:, None]
            use = self.clean[k] & (self.weight[k] > 0)
            variance = 1.0 / np.where(use, self.weight[k], 1.0)
            parts.append(bin_fibres(one.flux - model - sky * extra[:, None], model, variance, use))
            _, amp = np.unique(one.about[1], return_inverse=True)
            rows.append(count + amp)
            count += int(amp.max()) + 1
        rest, model, variance = (np.concatenate([part[i] for part in parts]) for i in range(3))
        bundle = np.concatenate([one.slot for one in self.fibres])
        lit = lit_fibres(levels, self.found)
        rest, light = source_light((rest, model, variance), beside / np.concatenate(self.light), bundle, lit)
        bins = FibreBins(
            rest=rest + self.ground.level[:, None],
            model=model,
            variance=variance,
            row=np.concatenate(rows),
            bundle=bundle,
            place=np.concatenate([one.about[2] for one in self.fibres]).astype(np.float64),
            at=np.concatenate([np.stack([one.x, one.y], axis=1) for one in self.fibres]) / HALF_BUNDLE,
            stated=np.concatenate([one.ground_error for one in self.fibres]),
            light=light,
            lit=lit,
            share=self.found.beside / self.found.light,
            steep=np.where(lit[:, None], self.found.steep / np.where(lit, self.found.beside, 1.0)[:, None], 0.0),
            wings=model * (self.found.wings / self.found.light)[:, None],
        )
        params = self.params
        slope = params.slope * HALF_BUNDLE
        told = amplifier_blank(levels, self.found, bins.row, params.source)
        found = find_ground(bins, told, self.found.blank, self.found.scatter, colours=params.colour, slope=slope)
        for one, change in zip(self.fibres, self.split(found.level - self.ground.level), strict=True):
            one.flux -= np.where(one.good, change[:, None], 0.0).astype(np.float32)
        self.ground = found

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
                basis = legendre.legvander(scaled(one.wave[rows], self.reference[0]), terms - 1)
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
            ground=self.ground.level,
            ground_error=self.ground.error,
            told=self.ground.told.astype(np.int32),
            first=common.first,
            step=common.step,
        )


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

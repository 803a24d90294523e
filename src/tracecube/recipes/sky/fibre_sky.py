"""The sky of an exposure, from all fibres that see nothing else, on the pixels they were measured with.

Nothing is rectified: one spline in wavelength, seen through each fibre's own pixels and line-spread function, is solved
for from all fibres of all detectors at once, with the illumination of each bundle (a plane over the bundle) and the
shift in wavelength of each detector found on the way. Twilights give the fibres' throughput by the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.common_spectrum import CommonSpectrum, accumulate, empty_system, evaluate, solve_common
from tracecube.kernels.robust import known_median

__all__ = ["SkyFibres", "SkyParams", "ThroughputParams", "fibre_throughput", "subtract_sky"]

_EDGE = 20.0  # Angstrom of knots beyond the samples
_HALF_BUNDLE = 25.0  # arcsec: scale of the places in a bundle
_LEVEL_FLOOR = 0.002  # error of a fibre's level that throughputs bring
_QUIET = 35.0  # percentile of the levels of a bundle that sources do not reach
_LOW = 0.05  # of the common throughput: nothing is divided by less


class ThroughputParams(Params):
    """How the relative throughput of fibres is measured on twilights."""

    knots: float = Field(1.0, gt=0.2, description="spacing of the spline's knots, Angstrom")
    degree: int = Field(5, ge=0, le=12, description="degree of a fibre's throughput along its spectrum")
    rounds: int = Field(5, ge=2, le=20, description="turns of common spectrum and throughputs")
    clip: float = Field(5.0, gt=2.0, description="deviations beyond which a sample is left out")
    dead: float = Field(0.3, ge=0.0, lt=1.0, description="throughput below which a fibre is flagged")


class SkyParams(Params):
    """How the sky of an exposure is modelled."""

    knots: float = Field(1.0, gt=0.2, description="spacing of the spline's knots, Angstrom")
    rounds: int = Field(6, ge=2, le=20, description="turns of sky, illumination, shifts and choice of fibres")
    clip: float = Field(5.0, gt=2.0, description="deviations beyond which a sample is left out of the sky")
    source: float = Field(2.5, gt=1.0, description="deviations above the sky at which a fibre holds a source")
    least: int = Field(20, ge=3, description="fibres that the sky needs")


@dataclass
class SkyFibres:
    """Fibres of one detector and exposure, ready to be fitted.

    Parameters
    ----------
    spectra : FibreSpectra
    expected : array (n, m)
        Throughput times the width of a pixel (Angstrom): what a sky of 1 electron / Angstrom gives.
    good : bool array (n, m)
    excess : array (n, m), Angstrom**2
    shift : float, Angstrom
    """

    spectra: FibreSpectra
    expected: FloatArray
    good: BoolArray
    excess: FloatArray
    shift: float = 0.0

    @property
    def wave(self) -> FloatArray:
        """Wavelengths with this exposure's shift."""
        return self.spectra.wave + self.shift


def _prepared(spectra: FibreSpectra, reference: FloatArray, *, with_throughput: FloatArray | None) -> SkyFibres:
    """Gather what the fit needs of one detector."""
    step = np.gradient(spectra.wave, axis=1)
    throughput = np.ones_like(spectra.wave) if with_throughput is None else with_throughput
    good = (spectra.flags == 0) & np.isfinite(spectra.flux) & (spectra.variance > 0) & (spectra.dq == 0)[:, None]
    good &= np.isfinite(throughput) & (throughput > _LOW)
    width = np.interp(spectra.wave, reference[0], reference[1])
    excess = spectra.lsf_sigma.astype(float) ** 2 - width**2
    return SkyFibres(spectra, np.where(good, throughput * step, 0.0), good, np.where(good, excess, 0.0))


def _reference(all_spectra: Sequence[FibreSpectra]) -> FloatArray:
    """Return the typical width of the line-spread function against wavelength: array (2, k), Angstrom."""
    low = min(float(np.nanmin(one.wave)) for one in all_spectra)
    high = max(float(np.nanmax(one.wave)) for one in all_spectra)
    grid = np.linspace(low, high, 60)
    rows = [np.interp(grid, one.wave[i], one.lsf_sigma[i]) for one in all_spectra for i in range(0, len(one.fibre), 16)]
    return np.stack([grid, np.median(rows, axis=0)])


def _span(all_fibres: Sequence[SkyFibres], knots: float) -> tuple[float, int]:
    low = min(float(one.spectra.wave.min()) for one in all_fibres) - _EDGE
    high = max(float(one.spectra.wave.max()) for one in all_fibres) + _EDGE
    return low, int((high - low) / knots) + 4


def _fit(
    all_fibres: Sequence[SkyFibres], scales: Sequence[FloatArray], weights: Sequence[FloatArray], knots: float
) -> CommonSpectrum:
    """Solve for the common spectrum of all detectors, one detector at a time."""
    first, n = _span(all_fibres, knots)
    matrix, rhs = empty_system(n)
    for one, scale, weight in zip(all_fibres, scales, weights, strict=True):
        data = np.where(weight > 0, one.spectra.flux, 0.0)
        parts = (one.wave, scale, one.excess, data, weight)
        accumulate(*(np.ascontiguousarray(part, np.float64).ravel() for part in parts), first, knots, matrix, rhs)
    return solve_common(matrix, rhs, first, knots)


def fibre_throughput(all_spectra: Sequence[FibreSpectra], params: ThroughputParams) -> list[FloatArray]:
    """Return the relative throughput (n, m) of the fibres of every detector, from twilights.

    The twilight is one spectrum for the whole field; what each fibre makes of it is a low-order factor. The median
    over all fibres is 1 at every wavelength, to first order; fibres without light are NaN.

    Raises
    ------
    BadData
        No fibre has light.
    """
    reference = _reference(all_spectra)
    fibres = [_prepared(one, reference, with_throughput=None) for one in all_spectra]
    if not any(one.good.any() for one in fibres):
        raise BadData("throughput: no fibre of the twilights has light", hint="look at the twilight frames")
    found = _brightness(fibres)
    weights = [np.where(one.good, 1.0 / one.spectra.variance, 0.0) for one in fibres]
    for _ in range(params.rounds):
        scales = [one.expected * t for one, t in zip(fibres, found, strict=True)]
        common = _fit(fibres, scales, weights, params.knots)
        for k, one in enumerate(fibres):
            seen, slope = evaluate(common, one.wave, one.excess)
            model = np.nan_to_num(seen) * one.expected
            found[k], weights[k] = _factors(one, model, params)
            one.shift += _shift(one, model * found[k], slope * one.expected * found[k], weights[k])
        level = _typical(fibres, found)
        found = [t / np.interp(one.wave, *level) for one, t in zip(fibres, found, strict=True)]
    return [np.where(t.mean(axis=1, keepdims=True) > _LOW, t, np.nan) for t in found]


def _brightness(fibres: Sequence[SkyFibres]) -> list[FloatArray]:
    """Return how bright each fibre is over the median one, the same for all its samples: where the fit begins."""
    level = []
    for one in fibres:
        light = np.where(one.good, one.spectra.flux, 0.0).sum(axis=1)
        level.append(np.maximum(light, 0.0) / np.maximum(one.expected.sum(axis=1), 1e-9))
    typical = float(np.median(np.concatenate([value[value > 0] for value in level])))
    return [
        np.repeat(value[:, None] / typical, one.expected.shape[1], axis=1)
        for value, one in zip(level, fibres, strict=True)
    ]


def _factors(one: SkyFibres, model: FloatArray, params: ThroughputParams) -> tuple[FloatArray, FloatArray]:
    """Fit a fibre's factor as a Chebyshev series; return factors (n, m) and the samples' weights."""
    n, m = model.shape
    basis = chebyshev.chebvander(np.linspace(-1.0, 1.0, m), params.degree)
    weight = np.where(one.good, 1.0 / one.spectra.variance, 0.0)
    data = np.where(one.good, one.spectra.flux, 0.0)
    factors = np.zeros((n, m))
    for _ in range(2):
        matrix = np.einsum("nm,mj,mk->njk", weight * model**2, basis, basis, optimize=True)
        rhs = (weight * model * data) @ basis
        ridge = (1e-10 * np.einsum("njj->n", matrix)[:, None, None] + 1e-300) * np.eye(basis.shape[1])
        factors = np.linalg.solve(matrix + ridge, rhs[:, :, None])[:, :, 0] @ basis.T
        away = (data - factors * model) * np.sqrt(weight)
        weight = np.where(np.abs(away) < params.clip, weight, 0.0)
    return factors, weight


def _typical(fibres: Sequence[SkyFibres], found: Sequence[FloatArray]) -> FloatArray:
    """Return the median throughput of all lit fibres against wavelength, smooth: array (2, k)."""
    grid = np.linspace(min(one.wave.min() for one in fibres), max(one.wave.max() for one in fibres), 40)
    rows = [
        np.interp(grid, one.wave[i], t[i])
        for one, t in zip(fibres, found, strict=True)
        for i in np.flatnonzero(one.good.any(axis=1))
    ]
    median = np.median(rows, axis=0)
    u = np.linspace(-1.0, 1.0, grid.size)
    return np.stack([grid, chebyshev.chebval(u, chebyshev.chebfit(u, median, 6))])


def _shift(one: SkyFibres, model: FloatArray, slope: FloatArray, weight: FloatArray) -> float:
    """Return by how much a detector's wavelengths are off (Angstrom): what its residuals ask for along the slope."""
    use = weight > 0
    residual = np.where(use, one.spectra.flux - model, 0.0)
    steep = np.where(use & np.isfinite(slope), slope, 0.0)
    power = float((weight * steep**2).sum())
    return float(np.clip((weight * steep * residual).sum() / power, -1.0, 1.0)) if power > 0 else 0.0


def subtract_sky(
    all_spectra: Sequence[FibreSpectra], throughput: Sequence[FloatArray], params: SkyParams
) -> tuple[list[FibreSpectra], tuple[QualityNumber, ...], tuple[str, ...]]:
    """Subtract the sky from all fibres of an exposure, and divide them by their throughput and illumination.

    Parameters
    ----------
    all_spectra : sequence of FibreSpectra
        Of every detector, electrons a pixel.
    throughput : sequence of array (n, m)
        Relative throughput of their fibres, NaN where a fibre is dead.
    params : SkyParams

    Returns
    -------
    list of FibreSpectra
        With the sky that was taken off, and wavelengths with this exposure's shift.
    quality, caveats : tuple

    Raises
    ------
    BadData
        Too few fibres see the sky alone.
    """
    reference = _reference(all_spectra)
    fibres = [_prepared(one, reference, with_throughput=t) for one, t in zip(all_spectra, throughput, strict=True)]
    light: list[FloatArray] = [np.ones(len(one.spectra.fibre)) for one in fibres]
    blank = [one.good.mean(axis=1) > 0.5 for one in fibres]
    if sum(int(b.sum()) for b in blank) < params.least:
        raise BadData("sky: too few fibres have light", hint="look at the frames and their throughput")
    clean = [one.good.copy() for one in fibres]
    for turn in range(params.rounds):
        scales = [one.expected * g[:, None] for one, g in zip(fibres, light, strict=True)]
        weights = [
            np.where(c & b[:, None], 1.0 / one.spectra.variance, 0.0)
            for one, c, b in zip(fibres, clean, blank, strict=True)
        ]
        common = _fit(fibres, scales, weights, params.knots)
        ratio, error = [], []
        for k, one in enumerate(fibres):
            seen, slope = evaluate(common, one.wave, one.excess)
            model = np.nan_to_num(seen) * one.expected
            r, e = _levels(one, model, clean[k])
            ratio.append(r)
            error.append(e)
            sigma = np.sqrt(np.where(one.good, one.spectra.variance, 1.0))
            away = (one.spectra.flux - model * light[k][:, None]) / sigma
            clean[k] = one.good & (np.abs(away) < params.clip)
            if turn > 0:
                one.shift += _shift(one, model * light[k][:, None], slope * scales[k], weights[k])
        light, blank = _illumination(fibres, ratio, error, params)
        mean = float(np.median(np.concatenate([g[b] for g, b in zip(light, blank, strict=True)])))
        light = [g / mean for g in light]
    made = [_subtracted(one, common, g) for one, g in zip(fibres, light, strict=True)]
    few = sorted({int(one.spectra.ifuslot[0]) for one, b in zip(fibres, blank, strict=True) if b.sum() < params.least})
    caveats = tuple(f"bundle {slot:03d}: fewer than {params.least} fibres see the sky alone" for slot in few)
    return made, _quality(made, blank, fibres), caveats


def _levels(one: SkyFibres, model: FloatArray, clean: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return how bright each fibre is over the model (n,), with its error; NaN for a fibre without samples."""
    weight = np.where(clean, 1.0 / np.where(one.good, one.spectra.variance, 1.0), 0.0)
    power = (weight * model**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (weight * model * np.where(clean, one.spectra.flux, 0.0)).sum(axis=1) / power
        return np.where(power > 0, ratio, np.nan), np.where(power > 0, power**-0.5, np.inf)


def _illumination(
    fibres: Sequence[SkyFibres],
    ratio: Sequence[FloatArray],
    error: Sequence[FloatArray],
    params: SkyParams,
) -> tuple[list[FloatArray], list[BoolArray]]:
    """Fit the illumination to the levels of blank fibres; fibres well above it hold sources.

    The pupil's illumination changes over the field so slowly that its gradient is the same in all bundles: a level
    for each, and one gradient, which a galaxy that fills half a bundle does not bend.
    """
    slots = np.concatenate([one.spectra.ifuslot for one in fibres])
    x = np.concatenate([one.spectra.x for one in fibres]) / _HALF_BUNDLE
    y = np.concatenate([one.spectra.y for one in fibres]) / _HALF_BUNDLE
    r, e = np.concatenate(ratio), np.hypot(np.concatenate(error), _LEVEL_FLOOR)
    known = np.isfinite(r) & np.isfinite(e)
    names = np.unique(slots)
    plane = np.ones(r.size)
    for slot in names:
        own = slots == slot
        if (own & known).any():
            plane[own] = np.percentile(r[own & known], _QUIET)
    design = np.column_stack([*((slots == slot).astype(float) for slot in names), x, y])
    use = known.copy()
    for _ in range(10):
        away = (r - plane) / e
        use = known & (away < params.source) & (away > -params.clip)
        if use.sum() < design.shape[1] + params.least:
            use = known & (np.abs(away) < params.clip)
            break
        weight = np.where(use, 1.0 / e, 0.0)
        fit = np.linalg.lstsq(design * weight[:, None], np.where(known, r, 0.0) * weight, rcond=None)[0]
        held = np.array([bool((use & (slots == slot)).any()) for slot in names])
        if not held.all():  # a bundle without a blank fibre: its quiet fibres stand in, and the others' gradient
            for k in np.flatnonzero(~held):
                own = known & (slots == names[k])
                fit[k] = np.percentile(r[own], _QUIET) if own.any() else 1.0
                use |= own & (r < fit[k])
        plane = design @ fit
    cuts = np.cumsum([one.size for one in ratio])[:-1]
    return list(np.split(plane, cuts)), list(np.split(use, cuts))


def _subtracted(one: SkyFibres, common: CommonSpectrum, light: FloatArray) -> FibreSpectra:
    """Return the fibres less the sky, over throughput and illumination."""
    spectra = one.spectra
    step = np.gradient(spectra.wave, axis=1)
    seen, _ = evaluate(common, one.wave, one.excess)
    throughput = np.where(one.good, one.expected / step, np.nan)
    lost = ~np.isfinite(throughput)
    factor = np.where(lost, 1.0, throughput * light[:, None])
    sky = np.nan_to_num(seen) * step
    shared = np.where(lost | np.roll(lost, -1, axis=0), 0.0, spectra.blend / (factor * np.roll(factor, -1, axis=0)))
    flags = spectra.flags | np.where(lost & (spectra.flags == 0), int(Flag.NOT_MEASURED), 0).astype(np.int32)
    dim = known_median(throughput, axis=1)
    return replace(
        spectra,
        flux=(spectra.flux / factor - sky).astype(np.float32),
        variance=(spectra.variance / factor**2).astype(np.float32),
        blend=shared.astype(np.float32),
        flags=flags,
        wave=one.wave,
        sky=sky.astype(np.float32),
        box=None if spectra.box is None else (spectra.box / factor - sky).astype(np.float32),
        throughput=np.nan_to_num(dim * light),
    )


def _quality(
    made: Sequence[FibreSpectra], blank: Sequence[BoolArray], fibres: Sequence[SkyFibres]
) -> tuple[QualityNumber, ...]:
    """Return how well residual and error agree in blank fibres, by amplifier, and the shifts."""
    numbers = []
    for one, free, ready in zip(made, blank, fibres, strict=True):
        name = f"{int(one.ifuslot[0]):03d}{one.amp[0]}" if len(set(one.amp)) == 1 else f"{int(one.ifuslot[0]):03d}"
        good = (one.flags == 0) & free[:, None] & (one.variance > 0)
        pull = (one.flux / np.sqrt(np.where(one.variance > 0, one.variance, 1.0)))[good]
        pull = pull[np.abs(pull) < 6.0]
        if pull.size:
            numbers.append(QualityNumber(f"SKY PULL {name}", float(pull.std()), "", low=0.95, high=1.05))
        numbers.append(QualityNumber(f"WAVE SHIFT {name}", ready.shift, "Angstrom", low=-1.0, high=1.0))
    numbers.append(QualityNumber("SKY FIBRES", float(sum(int(b.sum()) for b in blank)), ""))
    return tuple(numbers)

"""The sky of an exposure, from all fibres that see nothing else, on the pixels they were measured with.

Nothing is rectified: one spline in wavelength, seen through each fibre's own pixels and line-spread function, is solved
for from all fibres of all detectors at once, with the illumination of each bundle (a plane over the bundle) and the
shift in wavelength of each detector found on the way. Twilights give the fibres' throughput by the same model. What is
found is small, and is taken off the fibres of one bundle after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.polynomial import chebyshev
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fibre_light import FibreThroughput, SkyModel
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.common_spectrum import CommonSpectrum, evaluate
from tracecube.kernels.robust import known_median
from tracecube.recipes.sky.sky_fibres import (
    LOW,
    SkyFibres,
    excess_width,
    gather_fibres,
    own_shift,
    seen_by,
    solve_all,
)

__all__ = ["SkyParams", "ThroughputParams", "fit_sky", "fit_throughput", "rows_of", "subtract_sky", "throughput_of"]

_HALF_BUNDLE = 25.0  # arcsec: scale of the places in a bundle
_LEVEL_FLOOR = 0.002  # error of a fibre's level that throughputs bring
_QUIET = 35.0  # percentile of the levels of a bundle that sources do not reach


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


def fit_throughput(
    all_spectra: Iterable[FibreSpectra], params: ThroughputParams
) -> tuple[FibreThroughput, tuple[QualityNumber, ...]]:
    """Return the relative throughput of the fibres of every detector, from twilights.

    The twilight is one spectrum for the whole field; what each fibre makes of it is a low-order factor. The median
    over all fibres is 1 at every wavelength, to first order; fibres without light are flagged.

    Raises
    ------
    BadData
        No fibre has light.
    """
    fibres, _ = gather_fibres((one, None) for one in all_spectra)
    if not any(one.good.any() for one in fibres):
        raise BadData("throughput: no fibre of the twilights has light", hint="look at the twilight frames")
    series = _brightness(fibres, params.degree)
    level = np.array([[0.0, 1.0], [1.0, 1.0]])
    clean = [one.good for one in fibres]
    for _ in range(params.rounds):
        found = zip(fibres, series, clean, strict=True)
        parts = ((one.expected * _along(one, own, level), np.where(c, one.ivar, 0.0)) for one, own, c in found)
        common = solve_all(fibres, parts, params.knots)
        for k, one in enumerate(fibres):
            model, slope = seen_by(common, one)
            series[k], clean[k] = _factors(one, model, params)
            factor = _series_at(series[k], one.wave.shape[1])
            one.shift += own_shift(one, model * factor, slope * factor, np.where(clean[k], one.ivar, 0.0))
        level = _typical(fibres, series)
    return _throughput(fibres, series, level, params)


def _throughput(
    fibres: Sequence[SkyFibres], series: Sequence[FloatArray], level: FloatArray, params: ThroughputParams
) -> tuple[FibreThroughput, tuple[QualityNumber, ...]]:
    """Put the noun together, fibres without light flagged."""
    dq, scatter = [], []
    for one, own in zip(fibres, series, strict=True):
        value = _along(one, own, level)
        mean = np.where(value.mean(axis=1) > LOW, known_median(value, axis=1), np.nan)
        dq.append(one.dq | np.where(mean >= params.dead, 0, int(Flag.LOW_THROUGHPUT)).astype(np.int32))
        scatter.append(float(np.nanstd(mean)))
    unit, amp, fibre = (np.concatenate([one.about[i] for one in fibres]) for i in range(3))
    found = FibreThroughput(
        unit=unit,
        amp=amp,
        fibre=fibre,
        ifuslot=np.concatenate([one.slot for one in fibres]),
        shift=np.concatenate([np.full(len(one.slot), one.shift) for one in fibres]),
        coefficients=np.concatenate(series),
        dq=np.concatenate(dq).astype(np.int32),
        wave=level[0],
        level=level[1],
    )
    return found, (QualityNumber("THROUGHPUT SCATTER", float(np.mean(scatter)), ""),)


def throughput_of(found: FibreThroughput, spectra: FibreSpectra) -> FloatArray:
    """Relative throughput (n, m) of the fibres of spectra; NaN for those that have none."""
    rows = rows_of(found, spectra)
    known = (rows >= 0) & ((found.dq[rows] & int(Flag.LOW_THROUGHPUT)) == 0)
    series = _series_at(found.coefficients[rows], spectra.wave.shape[1])
    level = np.interp(spectra.wave + found.shift[rows][:, None], found.wave, found.level)
    return np.where(known[:, None], series / level, np.nan)


def rows_of(found: FibreThroughput | SkyModel, spectra: FibreSpectra) -> IntArray:
    """Where the fibres of spectra stand in a table of fibres; -1 for those that do not."""

    def names(one: FibreThroughput | SkyModel | FibreSpectra) -> list[tuple[str, str, int]]:
        return [(str(u).strip(), str(a).strip(), int(f)) for u, a, f in zip(one.unit, one.amp, one.fibre, strict=True)]

    at = {name: row for row, name in enumerate(names(found))}
    return np.array([at.get(name, -1) for name in names(spectra)], dtype=np.int64)


def _series_at(coefficients: FloatArray, samples: int) -> FloatArray:
    """Chebyshev series (n, d) along ``samples`` pixels, (n, samples)."""
    basis = chebyshev.chebvander(np.linspace(-1.0, 1.0, samples), coefficients.shape[1] - 1)
    return np.asarray(coefficients @ basis.T)


def _along(one: SkyFibres, series: FloatArray, level: FloatArray) -> FloatArray:
    """Throughput (n, m) of a detector's fibres."""
    return np.asarray(_series_at(series, one.wave.shape[1]) / np.interp(one.shifted, level[0], level[1]))


def _brightness(fibres: Sequence[SkyFibres], degree: int) -> list[FloatArray]:
    """Return how bright each fibre is over the median one, the same for all its samples: where the fit begins."""
    level = []
    for one in fibres:
        light = one.flux.sum(axis=1, dtype=float)
        level.append(np.maximum(light, 0.0) / np.maximum(one.expected.sum(axis=1, dtype=float), 1e-9))
    typical = float(np.median(np.concatenate([value[value > 0] for value in level])))
    return [np.pad(value[:, None] / typical, ((0, 0), (0, degree))) for value in level]


def _factors(one: SkyFibres, model: FloatArray, params: ThroughputParams) -> tuple[FloatArray, BoolArray]:
    """Fit a fibre's factor as a Chebyshev series; return its coefficients (n, d) and the samples that are good."""
    basis = chebyshev.chebvander(np.linspace(-1.0, 1.0, model.shape[1]), params.degree)
    weight, data = one.ivar.astype(float), one.flux.astype(float)
    series = np.zeros((len(model), basis.shape[1]))
    for _ in range(2):
        matrix = np.einsum("nm,mj,mk->njk", weight * model**2, basis, basis, optimize=True)
        rhs = (weight * model * data) @ basis
        ridge = (1e-10 * np.einsum("njj->n", matrix)[:, None, None] + 1e-300) * np.eye(basis.shape[1])
        series = np.linalg.solve(matrix + ridge, rhs[:, :, None])[:, :, 0]
        away = (data - series @ basis.T * model) * np.sqrt(weight)
        weight = np.where(np.abs(away) < params.clip, weight, 0.0)
    return series, np.asarray(weight > 0)


def _typical(fibres: Sequence[SkyFibres], series: Sequence[FloatArray]) -> FloatArray:
    """Return the median throughput of all lit fibres against wavelength, smooth: array (2, k)."""
    low = min(float(one.wave.min()) + one.shift for one in fibres)
    high = max(float(one.wave.max()) + one.shift for one in fibres)
    grid = np.linspace(low, high, 40)
    rows = []
    for one, own in zip(fibres, series, strict=True):
        value, wave = _series_at(own, one.wave.shape[1]), one.shifted
        rows += [np.interp(grid, wave[i], value[i]) for i in np.flatnonzero(one.good.any(axis=1))]
    median = np.median(rows, axis=0)
    u = np.linspace(-1.0, 1.0, grid.size)
    return np.stack([grid, chebyshev.chebval(u, chebyshev.chebfit(u, median, 6))])


def fit_sky(
    given: Iterable[tuple[FibreSpectra, FloatArray]], params: SkyParams
) -> tuple[SkyModel, tuple[QualityNumber, ...], tuple[str, ...]]:
    """Find the sky of an exposure, and how each fibre sees it.

    Parameters
    ----------
    given : iterable of (FibreSpectra, array (n, m))
        Of every detector, electrons a pixel, and the relative throughput of its fibres, NaN where a fibre is dead.
    params : SkyParams

    Returns
    -------
    model : SkyModel
    quality, caveats : tuple

    Raises
    ------
    BadData
        Too few fibres see the sky alone.
    """
    fibres, reference = gather_fibres(given)
    light: list[FloatArray] = [np.ones(len(one.slot)) for one in fibres]
    blank = [one.good.mean(axis=1) > 0.5 for one in fibres]
    if sum(int(b.sum()) for b in blank) < params.least:
        raise BadData("sky: too few fibres have light", hint="look at the frames and their throughput")
    clean = [one.good for one in fibres]
    for turn in range(params.rounds):
        found = list(zip(fibres, light, clean, blank, strict=True))
        parts = ((one.expected * g[:, None], np.where(c & b[:, None], one.ivar, 0.0)) for one, g, c, b in found)
        common = solve_all(fibres, parts, params.knots)
        levels = []
        for k, (one, g, c, b) in enumerate(found):
            model, slope = seen_by(common, one)
            levels.append(_levels(one, model, c))
            away = np.abs((one.flux - model * g[:, None]) * np.sqrt(one.ivar))
            clean[k] = one.good & (away < params.clip)
            if turn > 0:
                weight = np.where(c & b[:, None], one.ivar, 0.0)
                one.shift += own_shift(one, model * g[:, None], slope * g[:, None], weight)
        light, blank = _illumination(fibres, levels, params)
        mean = float(np.median(np.concatenate([g[b] for g, b in zip(light, blank, strict=True)])))
        light = [g / mean for g in light]
    few = sorted({int(one.slot[0]) for one, b in zip(fibres, blank, strict=True) if b.sum() < params.least})
    caveats = tuple(f"bundle {slot:03d}: fewer than {params.least} fibres see the sky alone" for slot in few)
    return _model(fibres, common, reference, light, blank), _quality(fibres, common, light, blank), caveats


def _model(
    fibres: Sequence[SkyFibres],
    common: CommonSpectrum,
    reference: FloatArray,
    light: Sequence[FloatArray],
    blank: Sequence[BoolArray],
) -> SkyModel:
    unit, amp, fibre, exp = (np.concatenate([one.about[i] for one in fibres]) for i in range(4))
    return SkyModel(
        coefficients=common.coefficients,
        wave=reference[0],
        sigma=reference[1],
        unit=unit,
        amp=amp,
        fibre=fibre,
        exp=exp,
        light=np.concatenate(light),
        shift=np.concatenate([np.full(len(one.slot), one.shift) for one in fibres]),
        blank=np.concatenate(blank).astype(np.int32),
        first=common.first,
        step=common.step,
    )


def _levels(one: SkyFibres, model: FloatArray, clean: BoolArray) -> tuple[FloatArray, FloatArray]:
    """Return how bright each fibre is over the model (n,), with its error; NaN for a fibre without samples."""
    weight = np.where(clean, one.ivar, 0.0)
    power = (weight * model**2).sum(axis=1, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (weight * model * one.flux).sum(axis=1, dtype=float) / power
        return np.where(power > 0, ratio, np.nan), np.where(power > 0, power**-0.5, np.inf)


def _illumination(
    fibres: Sequence[SkyFibres], levels: Sequence[tuple[FloatArray, FloatArray]], params: SkyParams
) -> tuple[list[FloatArray], list[BoolArray]]:
    """Fit the illumination to the levels of blank fibres; fibres well above it hold sources.

    The pupil's illumination changes over the field so slowly that its gradient is the same in all bundles: a level
    for each, and one gradient, which a galaxy that fills half a bundle does not bend.
    """
    slots = np.concatenate([one.slot for one in fibres])
    x = np.concatenate([one.x for one in fibres]) / _HALF_BUNDLE
    y = np.concatenate([one.y for one in fibres]) / _HALF_BUNDLE
    r, e = (np.concatenate([one[i] for one in levels]) for i in range(2))
    e = np.hypot(e, _LEVEL_FLOOR)
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
        weighted = design * np.where(use, 1.0 / e**2, 0.0)[:, None]
        fit = np.linalg.lstsq(weighted.T @ design, weighted.T @ np.where(known, r, 0.0), rcond=None)[0]
        held = np.array([bool((use & (slots == slot)).any()) for slot in names])
        if not held.all():  # a bundle without a blank fibre: its quiet fibres stand in, and the others' gradient
            for k in np.flatnonzero(~held):
                own = known & (slots == names[k])
                fit[k] = np.percentile(r[own], _QUIET) if own.any() else 1.0
                use |= own & (r < fit[k])
        plane = design @ fit
    cuts = np.cumsum([len(one.slot) for one in fibres])[:-1]
    return list(np.split(plane, cuts)), list(np.split(use, cuts))


def subtract_sky(spectra: FibreSpectra, throughput: FloatArray, model: SkyModel) -> FibreSpectra:
    """Take the sky off fibres, divided by throughput and illumination, at wavelengths with the exposure's shift.

    Parameters
    ----------
    spectra : FibreSpectra
        Of the exposure of the model, electrons a pixel.
    throughput : array (n, m)
    model : SkyModel

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
    sky = np.nan_to_num(evaluate(common, wave, np.where(lost, 0.0, excess))[0]) * step
    factor = np.where(lost, 1.0, throughput * model.light[rows][:, None])
    shared = np.where(lost | np.roll(lost, -1, axis=0), 0.0, spectra.blend / (factor * np.roll(factor, -1, axis=0)))
    flags = spectra.flags | np.where(lost & (spectra.flags == 0), int(Flag.NOT_MEASURED), 0).astype(np.int32)
    dim = known_median(np.where(lost, np.nan, throughput), axis=1)
    return replace(
        spectra,
        flux=(spectra.flux / factor - sky).astype(np.float32),
        variance=(spectra.variance / factor**2).astype(np.float32),
        blend=shared.astype(np.float32),
        flags=flags,
        wave=wave,
        sky=sky.astype(np.float32),
        box=None if spectra.box is None else (spectra.box / factor - sky).astype(np.float32),
        throughput=np.nan_to_num(dim * model.light[rows]),
    )


def _quality(
    fibres: Sequence[SkyFibres], common: CommonSpectrum, light: Sequence[FloatArray], blank: Sequence[BoolArray]
) -> tuple[QualityNumber, ...]:
    """Return how well residual and error agree in blank fibres, by detector, and the shifts."""
    numbers = []
    for one, g, free in zip(fibres, light, blank, strict=True):
        sides = "".join(sorted({str(amp)[:1] for amp in one.about[1]}))
        name = f"{int(one.slot[0]):03d}{sides}"
        pull = ((one.flux - seen_by(common, one)[0] * g[:, None]) * np.sqrt(one.ivar))[one.good & free[:, None]]
        pull = pull[np.abs(pull) < 6.0]
        if pull.size:
            numbers.append(QualityNumber(f"SKY PULL {name}", float(pull.std()), "", low=0.95, high=1.05))
        numbers.append(QualityNumber(f"WAVE SHIFT {name}", one.shift, "Angstrom", low=-1.0, high=1.0))
    numbers.append(QualityNumber("SKY FIBRES", float(sum(int(b.sum()) for b in blank)), ""))
    return tuple(numbers)

"""The relative throughput of fibres against wavelength, from twilights: one spectrum, and what fibres make of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
from tracecube.kernels.common_spectrum import CommonSpectrum
from tracecube.kernels.robust import known_median
from tracecube.recipes.sky.sky_errors import series_covariance, throughput_error
from tracecube.recipes.sky.sky_fibres import LOW, SkyFibres, gather_fibres, own_shift, seen_by, solve_all

__all__ = ["ThroughputParams", "fit_throughput", "rows_of", "throughput_of"]

_PLACES = 33  # along a spectrum, at which errors are told: all samples of a whole field are three gigabytes


class ThroughputParams(Params):
    """How the relative throughput of fibres is measured on twilights."""

    knots: float = Field(1.0, gt=0.2, description="spacing of the spline's knots, Angstrom")
    degree: int = Field(5, ge=0, le=12, description="degree of a fibre's throughput along its spectrum")
    rounds: int = Field(5, ge=2, le=20, description="turns of common spectrum and throughputs")
    clip: float = Field(5.0, gt=2.0, description="deviations beyond which a sample is left out")
    dead: float = Field(0.5, ge=0.0, lt=1.0, description="throughput below which a fibre is flagged")


def fit_throughput(
    all_spectra: Iterable[FibreSpectra], params: ThroughputParams, *, lines: bool = True
) -> tuple[FibreThroughput, tuple[QualityNumber, ...]]:
    """Return the relative throughput of the fibres of every detector, from twilights.

    The twilight is one spectrum for the whole field; what each fibre makes of it is a low-order factor. The median
    over all fibres is 1 at every wavelength, to first order; fibres without light are flagged.

    Parameters
    ----------
    all_spectra : iterable of FibreSpectra
    params : ThroughputParams
    lines : bool
        Whether the light has lines that tell how wavelengths of detectors are off; a lamp's continuum has none.

    Raises
    ------
    BadData
        No fibre has light.
    """
    fibres, _ = gather_fibres((one, None) for one in all_spectra)
    if not any(one.good.any() for one in fibres):
        raise BadData("throughput: no fibre has light", hint="look at the frames of the twilight, or of the lamp")
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
            if lines:
                one.shift += own_shift(one, model * factor, slope * factor, np.where(clean[k], one.ivar, 0.0))
        level = _typical(fibres, series)
    return _throughput(fibres, series, (level, common, clean), params)


def _throughput(
    fibres: Sequence[SkyFibres],
    series: Sequence[FloatArray],
    found: tuple[FloatArray, CommonSpectrum, Sequence[BoolArray]],
    params: ThroughputParams,
) -> tuple[FibreThroughput, tuple[QualityNumber, ...]]:
    """Put the noun together, fibres without light flagged."""
    level, common, clean = found
    dq, scatter, covariance = [], [], []
    for one, own, good in zip(fibres, series, clean, strict=True):
        covariance.append(series_covariance(one, seen_by(common, one)[0], good, params.degree))
        value = _along(one, own, level)
        mean = np.where(value.mean(axis=1) > LOW, known_median(value, axis=1), np.nan)
        dq.append(one.dq | np.where(mean >= params.dead, 0, int(Flag.LOW_THROUGHPUT)).astype(np.int32))
        scatter.append(float(np.nanstd(mean)))
    unit, amp, fibre = (np.concatenate([one.about[i] for one in fibres]) for i in range(3))
    made = FibreThroughput(
        unit=unit,
        amp=amp,
        fibre=fibre,
        ifuslot=np.concatenate([one.slot for one in fibres]),
        x=np.concatenate([one.x for one in fibres]),
        y=np.concatenate([one.y for one in fibres]),
        shift=np.concatenate([np.full(len(one.slot), one.shift) for one in fibres]),
        coefficients=np.concatenate(series),
        covariance=np.concatenate(covariance),
        dq=np.concatenate(dq).astype(np.int32),
        wave=level[0],
        level=level[1],
    )
    lit = np.flatnonzero(made.dq == 0)
    error = throughput_error(made, lit, _PLACES) if lit.size else np.zeros((0, 1))
    return made, (
        QualityNumber("THROUGHPUT SCATTER", float(np.mean(scatter)), ""),
        QualityNumber("THROUGHPUT ERROR", float(np.median(error)) if lit.size else float("nan"), ""),
        QualityNumber("FIBRES DEAD", float(np.count_nonzero(made.dq & int(Flag.LOW_THROUGHPUT))), ""),
    )


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

"""The wavelength solution: one smooth model of the whole field, fitted to all arc lines at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from tracecube.core.errors import MissingInput
from tracecube.core.fields import FloatArray
from tracecube.core.flags import Flag
from tracecube.core.optics import PixelMap, TraceSet, WavelengthSolution
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.kernels.robust import known_median
from tracecube.recipes.optics.arcs import (
    ArcSpectra,
    DispersionGuess,
    LineList,
    align,
    mean_arcs,
    recognise,
)
from tracecube.recipes.optics.dispersion import Dispersion, fit_dispersion, fit_law, leave_one_out
from tracecube.recipes.optics.line_groups import LineGroups, LineState, Stage, measure_groups, width_field

__all__ = ["WavelengthParams", "fit_wavelengths", "pixel_map"]

# First the isolated lines alone, which nothing can pull; then the blends; then every listed line.
STAGES = (
    *(2 * (Stage(isolated=True, seeded=True, width=True),)),
    *(4 * (Stage(isolated=False, seeded=True, width=True),)),
    *(6 * (Stage(isolated=False, seeded=False, width=True),)),
)
# Error of the mean place of an isolated line that the errors do not show, px.
LAW_FLOOR = 0.005
# Wavelength step on which the model is tabulated before it is inverted, Angstrom.
TABLE_STEP = 10.0


class WavelengthParams(Params):
    """Settings of the wavelength calibration."""

    least_lines: int = Field(6, ge=3, description="groups of lines that the field model needs at least")
    wave_low: float = Field(3300.0, description="blue end of the table, Angstrom")
    wave_high: float = Field(10900.0, description="red end of the table, Angstrom")
    lsf_start: float = Field(1.1, gt=0.3, description="line width to start from, px")


def fit_wavelengths(
    arcs: Mapping[str, ArcSpectra], traces: TraceSet, lines: LineList, guess: DispersionGuess, params: WavelengthParams
) -> tuple[WavelengthSolution, tuple[QualityNumber, ...], tuple[str, ...]]:
    """Solve for the wavelength of every trace sample.

    Parameters
    ----------
    arcs : dict of lamp to ArcSpectra (n, m)
    traces : TraceSet
    lines : LineList
    guess : DispersionGuess
    params : WavelengthParams

    Raises
    ------
    MissingInput
        No lamp, or too few lines in those there are.
    NoConvergence
        The lines could not be recognised.
    """
    place = _field_place(traces)
    asked = tuple(str(lamp) for lamp in np.unique(lines.lamp))
    lines = lines.of(tuple(arcs))
    if not arcs or not (lines.seed > 0).any():
        raise MissingInput("wavelength calibration: no arc frame with known lines", hint="take Hg, Cd or Xe arcs")
    offset = align(arcs, traces.start)
    z, mean = mean_arcs(arcs, traces.start, offset)
    found = recognise(z, mean, lines, guess)
    state = LineState(offset[:, None] + found, np.full((offset.size, lines.wave.size), params.lsf_start))
    for stage in STAGES:
        groups = measure_groups(arcs, traces, lines, state, stage)
        if groups.wave.size < params.least_lines:
            raise _too_few(groups, arcs, params)
        fit, mean_place, weight = _fit(groups, offset, place, guess)
        sigma = width_field(groups, lines.wave, fit.law, place) if stage.width else state.sigma
        state = LineState(fit.x(lines.wave), sigma)
    left_out = leave_one_out(groups.wave, mean_place, weight, (guess.wave, guess.pixel))
    return _solution(fit, groups, traces, state, lines, params), _quality(fit, groups, left_out), _caveats(arcs, asked)


def _too_few(groups: LineGroups, arcs: Mapping[str, ArcSpectra], params: WavelengthParams) -> MissingInput:
    return MissingInput(
        f"wavelength calibration: {groups.wave.size} usable line groups in {sorted(arcs)}, "
        f"{params.least_lines} are needed",
        hint="add the lamps that are missing, or longer exposures",
    )


def _fit(
    groups: LineGroups, offset: FloatArray, place: FloatArray, guess: DispersionGuess
) -> tuple[Dispersion, FloatArray, FloatArray]:
    """Fit the mean law and the model of the field, twice: the first shows the lines' offsets from the law.

    Returns the model, and the mean places (f,) of the lines with the weights the law gave them.
    """
    relative = groups.x - offset[:, None]
    zero = known_median(relative - np.nanmedian(relative, axis=0), axis=1)
    mean = known_median(relative - zero[:, None], axis=0)
    own = known_median(groups.error, axis=0) / np.sqrt(np.isfinite(groups.x).sum(axis=0))
    weight = 1.0 / (own**2 + LAW_FLOOR**2 + groups.blend**2)
    for _ in range(2):
        law = fit_law(groups.wave, mean, weight, (guess.wave, guess.pixel))
        fit = fit_dispersion(law, groups.wave, groups.x, groups.error, place)
        mean = law.z(groups.wave) + fit.bias
    return fit, mean, weight


def _field_place(traces: TraceSet) -> FloatArray:
    """Detector position of the apertures (along, across), scaled to -1 ... 1 over the field."""
    inside = np.isfinite(traces.centre)
    sample = np.arange(traces.centre.shape[1])
    count = np.maximum(inside.sum(axis=1), 1)
    along = traces.start + (inside * sample).sum(axis=1) / count
    across = np.where(inside, traces.centre, 0.0).sum(axis=1) / count
    place = np.stack([along, across], axis=1)
    low, high = place.min(axis=0), place.max(axis=0)
    return np.asarray(2.0 * (place - low) / np.maximum(high - low, 1.0) - 1.0)


def _solution(
    fit: Dispersion, groups: LineGroups, traces: TraceSet, state: LineState, lines: LineList, params: WavelengthParams
) -> WavelengthSolution:
    """Invert the model on the samples of every trace."""
    table = np.arange(params.wave_low, params.wave_high, TABLE_STEP)
    x, error = fit.x(table), fit.error(table)
    direction = 1 if x[0, -1] > x[0, 0] else -1
    n, m = traces.centre.shape
    pixel = traces.start[:, None] + np.arange(m)
    wave, wave_error, lsf = (np.full((n, m), np.nan) for _ in range(3))
    widths = np.sort(lines.wave), state.sigma[:, np.argsort(lines.wave)]
    poor = fit.used.sum(axis=1) < 3  # noqa: PLR2004 - zero point, scale and a check
    for a in np.nonzero(~poor)[0]:
        on = np.isfinite(traces.centre[a])
        wave[a, on] = np.interp(direction * pixel[a, on], direction * x[a], table)
        per_pixel = np.abs(np.gradient(table, x[a]))
        wave_error[a, on] = np.interp(wave[a, on], table, error[a] * per_pixel)
        lsf[a, on] = np.interp(wave[a, on], *(widths[0], widths[1][a]))
    dispersion = fit.law.slope(groups.wave)
    row = np.broadcast_to(np.arange(n)[:, None], groups.x.shape)
    known = np.isfinite(groups.x)
    return WavelengthSolution(
        aperture=traces.aperture,
        start=traces.start,
        dq=np.where(poor, int(Flag.NOT_MEASURED), 0).astype(np.int32),
        wave=wave,
        error=wave_error,
        lsf_sigma=lsf,
        line_aperture=traces.aperture[row[known]],
        line_wave=np.broadcast_to(groups.wave, groups.x.shape)[known],
        line_pixel=groups.x[known],
        line_residual=(fit.residual / dispersion)[known],
        line_error=(groups.error / dispersion)[known],
        line_used=fit.used[known].astype(np.int32),
    )


def _quality(fit: Dispersion, groups: LineGroups, left_out: FloatArray) -> tuple[QualityNumber, ...]:
    """What the fit says of itself."""
    step = 1.0 / fit.law.slope(groups.wave)
    used = fit.used
    weight = np.where(used, 1.0 / (groups.error**2 + fit.floor**2), 0.0)
    rms = float(np.sqrt(np.nansum(weight * np.nan_to_num(fit.residual * step) ** 2) / weight.sum()))
    inner = np.ones(groups.wave.size, bool)
    inner[[int(np.argmin(groups.wave)), int(np.argmax(groups.wave))]] = False
    missed = left_out * step
    return (
        QualityNumber("WAVE RMS", rms, "Angstrom", high=3.0),
        QualityNumber("WAVE LINES", float(groups.wave.size), "", low=6.0),
        QualityNumber("WAVE MODEL FLOOR", fit.floor, "pix", high=0.05),
        QualityNumber("WAVE SCALE SPREAD", fit.spread, "pix", high=0.2),
        QualityNumber("WAVE LEFT OUT RMS", float(np.sqrt(np.nanmean(missed[inner] ** 2))), "Angstrom", high=3.0),
        QualityNumber("WAVE LEFT OUT WORST", float(np.nanmax(np.abs(missed[inner]))), "Angstrom", high=6.0),
        QualityNumber("WAVE APERTURES", float((used.sum(axis=1) >= 3).mean()), "", low=0.95),  # noqa: PLR2004
    )


def _caveats(arcs: Mapping[str, ArcSpectra], asked: tuple[str, ...]) -> tuple[str, ...]:
    """Say which lamps are missing."""
    missing = sorted(set(asked) - set(arcs))
    return tuple(
        f"no {lamp} arcs: its part of the spectrum rests on the smooth model (try: take {lamp} arcs)"
        for lamp in missing
    )


def pixel_map(traces: TraceSet, solution: WavelengthSolution, shape: tuple[int, int], *, half_width: float) -> PixelMap:
    """Tell for each detector pixel whose light it sees, and at which wavelength.

    A pixel belongs to the nearest trace, if that is within ``half_width`` px.
    """
    size = shape if traces.axis == 1 else shape[::-1]
    wave, along = np.full(size, np.nan), np.full(size, np.nan, np.float32)
    owner, nearest = np.full(size, -1, np.int32), np.full(size, np.inf)
    row, sample = np.nonzero(np.isfinite(traces.centre) & np.isfinite(solution.wave))
    s, centre = traces.start[row] + sample, traces.centre[row, sample]
    for k in range(-int(np.ceil(half_width)), int(np.ceil(half_width)) + 1):
        c = np.floor(centre + 0.5).astype(int) + k
        distance = np.abs(c - centre)
        ok = (c >= 0) & (c < size[0]) & (s >= 0) & (s < size[1]) & (distance <= half_width)
        ok[ok] &= distance[ok] < nearest[c[ok], s[ok]]
        at = (c[ok], s[ok])
        nearest[at], wave[at], owner[at] = distance[ok], solution.wave[row, sample][ok], traces.aperture[row][ok]
        along[at] = (c - centre)[ok]
    turn = (lambda image: image) if traces.axis == 1 else np.transpose
    return PixelMap(wave=turn(wave), aperture=turn(owner), along=turn(along), medium=solution.medium)

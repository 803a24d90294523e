"""Traces and wavelengths of lenslet spectra, from the lenslets' laser places and frames of white light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import Lenslets, TraceSet, WavelengthSolution
from tracecube.core.quality import QualityNumber
from tracecube.recipes.optics.lenslet_profile import LensletProfile, ProfileParams, fit_lenslet_profile
from tracecube.recipes.optics.lenslets import PrismLaw, place_at, place_error, rows_of

__all__ = ["LensletTraceParams", "lenslet_wavelengths", "trace_lenslets"]

_WEIGHTS = (0.01, 0.1)
"""Of an evenly lit frame and one of pinholes in the fit of the profile: flat-field residuals are in no variance, alike
along a column, and the larger part of what a bright even frame leaves."""
_OUT_OF_DISPERSION = 3.0
"""Dispersion steps, one a pixel, by which an end of the band may lie off the law (as the observatory counts
them: it keeps its model's wavelengths there, here the lasers' hold)."""
_LEAST_DETERMINED = 0.9999  # R^2: wavelengths off by a hundredth of what lines differ by, 2 nm
_BAND_PERIOD = 10.0  # px: of the bands of companions and air that a line-spread function blurs
_NEAR_WINGS, _CORE_REACH = 4.0, 2.0  # px
_WORST_OFF = 3.0  # px: a spectrum of which more rows than this lie off the detector is not whole


class LensletTraceParams(ProfileParams):
    """How lenslet spectra are traced."""

    margin: float = Field(
        1.8, ge=0, le=4, description="rows beyond the ends of the band, for what the line-spread function carries there"
    )


def trace_lenslets(
    lenslets: Lenslets,
    law: PrismLaw,
    band: tuple[float, float],
    white: Sequence[Frame],
    params: LensletTraceParams,
    *,
    sigma: float,
) -> tuple[TraceSet, tuple[QualityNumber, ...]]:
    """Lay the traces through the lasers, measure their profile in white light, and follow its core along them.

    Parameters
    ----------
    lenslets : Lenslets
    law : PrismLaw
    band : (float, float), Angstrom
        Ends of the light.
    white : sequence of Frame
        Lamp frames: evenly lit, then through pinholes if there are any.
    params : LensletTraceParams
    sigma : float, px
        First guess of the profile's width.
    """
    start, wave, centre = rows_of(lenslets, law, band, margin=params.margin)
    node = np.interp(wave, lenslets.laser, np.arange(lenslets.laser.size))
    node = np.where(np.isfinite(wave), node, np.nan)
    own = params.model_copy(update={"profile_nodes": max(int(lenslets.laser.size), 2)})
    profile, numbers = fit_lenslet_profile(
        white, _WEIGHTS[: len(white)], start, np.asarray(centre, float), node, own, sigma=sigma
    )
    rows = start[:, None] + np.arange(centre.shape[1])
    move = profile.move(centre, rows.astype(float), node)
    centre = centre + move
    traces = TraceSet(
        aperture=lenslets.aperture,
        start=start,
        q=lenslets.q,
        r=lenslets.r,
        dq=lenslets.dq | _cut(rows, centre, white[0].data.shape),
        centre=centre,
        sigma=np.where(np.isfinite(centre), 1.0, np.nan),
        sample_dq=np.zeros(centre.shape, np.int32),
        profile_u=profile.u,
        profile=profile.value,
        mix=profile.mix(centre, rows.astype(float), node),
        axis=0,
        meta=white[0].meta,
    )
    furthest = float(np.abs(profile.offset).max())
    return traces, (*numbers, *_width_numbers(profile), QualityNumber("PROFILE OFFSET", furthest, "pix", high=0.2))


def _cut(rows: IntArray, centre: FloatArray, shape: tuple[int, ...]) -> IntArray:
    """Flag spectra that the edge of the detector cuts."""
    off = (rows < 0) | (rows >= shape[0]) | (centre < 0) | (centre > shape[1] - 1)
    lost = (off & np.isfinite(centre)).sum(axis=1)
    return np.where(lost > _WORST_OFF, int(Flag.NOT_MEASURED), 0).astype(np.int32)


def _width_numbers(profile: LensletProfile) -> tuple[QualityNumber, ...]:
    """Full width at half maximum of the mean profile, and its light beyond 2.5 px."""
    mean = profile.value[:, 0]
    above = profile.u[mean > 0.5 * mean.max()]
    wing = float(mean[np.abs(profile.u) > 2.5].sum() / mean.sum())  # noqa: PLR2004 - half the distance of traces
    return (
        QualityNumber("PROFILE FWHM", float(above[-1] - above[0]), "pix", 1.5, 4.0),
        QualityNumber("PROFILE WINGS", wing, "", high=0.3),
    )


def lenslet_wavelengths(
    lenslets: Lenslets,
    traces: TraceSet,
    law: PrismLaw,
    band: tuple[float, float],
    *,
    margin: float,
    lasers: Sequence[float] = (),
) -> tuple[WavelengthSolution, tuple[QualityNumber, ...]]:
    """Give every trace sample its wavelength, with the error that the lasers leave.

    Parameters
    ----------
    lenslets, traces
        Rows alike.
    law : PrismLaw
    band : (float, float), Angstrom
    margin : float, px
        As the traces were made with.
    lasers : sequence of float, Angstrom
        All that the instrument has, for their numbers; those that were on where not given.
    """
    start, wave, _ = rows_of(lenslets, law, band, margin=margin)
    dispersion = np.abs(np.gradient(np.where(np.isfinite(wave), wave, np.nan), axis=1))
    grid = np.exp(np.linspace(np.log(0.99 * band[0]), np.log(1.01 * band[1]), 60))
    px_error = place_error(lenslets, grid, law)
    error = np.stack([np.interp(row, grid, one) for row, one in zip(wave, px_error, strict=True)]) * dispersion
    known = np.isfinite(lenslets.y_residual)
    row, laser = np.nonzero(known)
    per_px = _dispersion_at(lenslets, law)
    solution = WavelengthSolution(
        aperture=traces.aperture,
        start=start,
        dq=traces.dq,
        wave=wave,
        error=np.where(np.isfinite(wave), error, np.nan),
        lsf_sigma=_line_spread(lenslets, traces, wave),
        line_aperture=traces.aperture[row],
        line_wave=lenslets.laser[laser],
        line_pixel=(lenslets.y + lenslets.y_residual)[known] - start[row],
        line_residual=-lenslets.y_residual[known] * per_px[laser],
        line_error=lenslets.y_error[known] * per_px[laser],
        line_used=np.ones(row.size, np.int32),
        medium="WAVE",
        meta=lenslets.meta,
    )
    numbers = _wave_numbers(solution, lenslets, per_px, np.asarray(lasers or lenslets.laser, float))
    return solution, (*numbers, *_spectra_numbers(solution, lenslets, law, band))


def _spectra_numbers(
    solution: WavelengthSolution, lenslets: Lenslets, law: PrismLaw, band: tuple[float, float]
) -> tuple[QualityNumber, ...]:
    """Dispersion of the spectra, one by one, and how many stand out."""
    ends = np.array(band)
    place = place_at(lenslets, ends, law)[1]
    # where the law, laid through the middle of the lenslet's own lasers, has the ends
    nominal = law(ends) + (lenslets.y - law(lenslets.laser)).mean(axis=1, keepdims=True)
    out = np.abs(place - nominal).max(axis=1) > _OUT_OF_DISPERSION
    each = np.diff(ends) / np.diff(place, axis=1)[:, 0]
    spread = 1.4826 * float(np.median(np.abs(each - np.median(each))))
    return (
        QualityNumber("DISPERSION", float(each.mean()), "Angstrom/pix"),
        QualityNumber("DISPERSION SCATTER", spread, "Angstrom/pix"),
        QualityNumber("NUM OUT OF DISP", float(out.sum()), ""),
        QualityNumber("BAD SPECTRA", float((solution.dq != 0).sum()), ""),
    )


def _determination(solution: WavelengthSolution) -> float:
    """Coefficient of determination (R^2) of a straight line between wavelengths found at lines and those they have."""
    found = solution.line_wave + solution.line_residual
    return float(np.corrcoef(solution.line_wave, found)[0, 1] ** 2)


def _dispersion_at(lenslets: Lenslets, law: PrismLaw) -> FloatArray:
    """Angstrom a pixel (n_laser,) at the lasers, of the median lenslet."""
    step = 20.0
    low, high = (place_at(lenslets, lenslets.laser + side, law)[1] for side in (-step, step))
    return np.asarray(2.0 * step / np.median(high - low, axis=0))


def _line_spread(lenslets: Lenslets, traces: TraceSet, wave: FloatArray) -> FloatArray:
    """Width (n, m), px, of the line-spread function: of the Gaussian that blurs a spectrum's bands as much.

    A PSFlet is as wide along dispersion as across it, near wings and all, but for the ratio of its cores; across, where
    the neighbours' light is solved for, the profile of white light tells it. Near wings hold a twentieth of the light:
    a Gaussian through the core alone would blur too little. Far ones are a pedestal that no Gaussian follows.
    """
    shapes = np.asarray(traces.profile, float) if traces.mix is not None else np.asarray(traces.profile)[:, None]
    mix = np.ones((1, *wave.shape)) if traces.mix is None else np.asarray(traces.mix, float)
    u = np.asarray(traces.profile_u, float)
    turn, near = 2.0 * np.pi * u / _BAND_PERIOD, (np.abs(u) < _NEAR_WINGS).astype(float)
    sums = np.stack([near * np.cos(turn), near * np.sin(turn), near]) @ shapes
    even, odd, whole = (np.tensordot(one, mix, axes=(0, 0)) for one in sums)
    kept = np.hypot(even, odd) / whole
    width = np.sqrt(-2.0 * np.log(np.clip(kept, 0.05, 0.999))) * _BAND_PERIOD / (2.0 * np.pi)
    ratio = np.interp(np.nan_to_num(wave), lenslets.laser, _core_ratio(lenslets))
    return np.where(np.isfinite(wave), ratio * width, np.nan)


def _core_ratio(lenslets: Lenslets) -> FloatArray:
    """Width of the lasers' cores along dispersion over that across (n_laser,), the mean of all zones."""
    size = lenslets.template.shape[-1]
    t = (np.arange(size) - size // 2) * lenslets.step
    core = np.abs(t) < _CORE_REACH  # beyond are the feet of neighbouring spots
    stamp = np.nan_to_num(lenslets.template)[..., core, :][..., core].mean(axis=(1, 2))
    ratio = np.ones(len(stamp))
    for number, one in enumerate(stamp):
        along, across = (_core_width(t[core], one.sum(axis=axis)) for axis in (1, 0))
        ratio[number] = along / across if np.isfinite(along / across) else 1.0
    return ratio


def _core_width(t: FloatArray, line: FloatArray) -> float:
    """Width of the Gaussian through the core of a line: by the bend of its logarithm where it is brighter than half."""
    bright = line > 0.5 * line.max()
    if not line.max() > 0.0 or np.count_nonzero(bright) < 3:  # noqa: PLR2004 - a bend
        return float("nan")
    bend = np.polyfit(t[bright], np.log(line[bright]), 2)[0]
    return float(np.sqrt(-0.5 / bend)) if bend < 0.0 else float("nan")


def _wave_numbers(
    solution: WavelengthSolution, lenslets: Lenslets, per_px: FloatArray, lasers: FloatArray
) -> tuple[QualityNumber, ...]:
    """Quality numbers in the observatory's words."""
    residual = solution.line_residual
    spread = 1.4826 * float(np.median(np.abs(residual)))
    fwhm = 2.3548 * np.nanmedian(solution.lsf_sigma)
    sampled = solution.wave[np.isfinite(solution.wave)]
    numbers = [1 + int(np.argmin(np.abs(lasers - one))) for one in lenslets.laser]
    return (
        QualityNumber("WAVE RMS", spread, "Angstrom", high=10.0),
        QualityNumber("DISPERSION RMS", _determination(solution), "", low=_LEAST_DETERMINED),
        QualityNumber("WAVE ERROR", float(np.nanmedian(solution.error)), "Angstrom", high=10.0),
        QualityNumber("MEDIAN DISPERSION", float(np.median(per_px)), "Angstrom/pix"),
        QualityNumber("MEDIAN RESOLVING POWER", float(np.median(lenslets.laser / (fwhm * per_px))), ""),
        QualityNumber("MIN LAMBDA", float(sampled.min()), "Angstrom"),
        *(
            QualityNumber(f"RESPOW LASER{number}", float(one / (fwhm * step)), "")
            for number, one, step in zip(numbers, lenslets.laser, per_px, strict=True)
        ),
    )

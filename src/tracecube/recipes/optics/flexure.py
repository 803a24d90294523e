"""Flexure: how far the light of one exposure has moved since the calibrations, along and across.

Across dispersion the shift is the coefficient of dA/dy f in the frame itself: every pixel of every
trace measures it. Along dispersion the mean sky of all apertures is compared with what is known
of it: airglow and street-lamp lines by carrier, the solar spectrum in moonlight and twilight, and
telluric bands, on a free smooth continuum, all blurred with the measured line-spread function.
Both are linear fits at each trial shift: no random numbers, and an error from the curvature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.optimize import nnls

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet, WavelengthSolution
from tracecube.core.params import Params
from tracecube.kernels.forward import project
from tracecube.kernels.lines import line_image
from tracecube.kernels.robust import known_median
from tracecube.kernels.scatter import spline_basis
from tracecube.recipes.extract.joint import Extraction, TraceMatrix

__all__ = ["FlexureParams", "MeanSky", "SkyModel", "coarse_shift", "mean_sky", "shift_across", "shift_along"]


# Samples of the envelope of the solar spectrum, and width of its windows, Angstrom: a few times the
# line-spread function, so that scattered sunlight of any depth and colour fits.
ENVELOPE = 41
WINDOW = 75.0
# Mean depth that makes a window strong.
DEEP = 0.12


class FlexureParams(Params):
    """How far and where flexure is looked for."""

    reach: float = Field(2.5, gt=0.0, description="largest shift that is looked for, px")
    sky_low: float = Field(4000.0, description="blue end of the sky spectrum used, Angstrom")
    sky_high: float = Field(9300.0, description="red end of the sky spectrum used, Angstrom")
    continuum_pieces: int = Field(9, ge=3, description="spline pieces of the sky continuum")


@dataclass(frozen=True)
class SkyModel:
    """What is known of the light of the night sky.

    Parameters
    ----------
    line_wave, line_strength : array (k,)
    line_carrier : str array (k,)
        Lines of one carrier keep their ratios.
    absorption : dict of name to (wave, depth)
        Telluric bands: one minus the transmission.
    solar : (wave, flux)
        For moonlight and twilight.
    """

    line_wave: FloatArray
    line_strength: FloatArray
    line_carrier: NDArray[np.str_]
    absorption: dict[str, tuple[FloatArray, FloatArray]]
    solar: tuple[FloatArray, FloatArray]

    def fraunhofer(self) -> list[tuple[FloatArray, FloatArray]]:
        """Depth of the solar spectrum below its envelope: the whole, and strong windows of their own strength."""
        wave, flux = self.solar
        envelope = gaussian_filter1d(maximum_filter1d(flux, ENVELOPE), ENVELOPE / 2.0)
        depth = np.clip(1.0 - flux / envelope, 0.0, None)
        edges = np.arange(wave[0], wave[-1], WINDOW)
        windows = [np.where((wave >= low) & (wave < low + WINDOW), depth, 0.0) for low in edges]
        strong = [window for window in windows if window.sum() > DEEP * (window > 0).sum()]
        return [(wave, depth), *((wave, window) for window in strong)]


@dataclass(frozen=True)
class MeanSky:
    """Mean sky of all apertures on the common pixel scale z: arrays (k,).

    ``wave`` is the wavelength by the unshifted solution, ``sigma`` the line-spread width in px.
    """

    z: FloatArray
    wave: FloatArray
    flux: FloatArray
    variance: FloatArray
    sigma: FloatArray


def coarse_shift(frame: Frame, traces: TraceSet, reach: float) -> float:
    """Shift across dispersion, to half a pixel, at which the traces catch most light."""
    image = np.where((frame.flags & NOT_USABLE) == 0, frame.data, 0.0)
    image = image if traces.axis == 1 else image.T
    row, sample = np.nonzero(np.isfinite(traces.centre))
    every = slice(None, None, 16)
    centre, along = traces.centre[row, sample][every], (traces.start[row] + sample)[every]
    trial = np.arange(-reach, reach + 0.01, 0.5)
    light = []
    for shift in trial:
        at = np.clip(np.round(centre + shift).astype(int), 0, image.shape[0] - 1)
        values = image[at, np.clip(along, 0, image.shape[1] - 1)]
        light.append(float(np.mean(np.clip(values, None, np.percentile(values, 99)))))
    return float(trial[int(np.argmax(light))])


def shift_across(frame: Frame, extraction: Extraction, matrix: TraceMatrix, slope: TraceMatrix) -> tuple[float, float]:
    """Shift of the light across dispersion that the residual asks for, with its error, px.

    Parameters
    ----------
    frame : Frame
    extraction : Extraction
        Made with ``matrix``.
    matrix, slope : TraceMatrix
        A and dA/dy at the present shift.
    """
    derivative = project(slope.a, np.nan_to_num(slope.gather(extraction.flux)))
    measured = project(matrix.a, np.ones(matrix.row.size)) > 0
    residual = matrix.canonical(frame.data - extraction.model)
    variance = matrix.canonical(np.maximum(frame.variance, 1e-6))
    wrong = ((frame.flags & NOT_USABLE) != 0) | extraction.outlier
    bad = (wrong if matrix.axis == 1 else wrong.T) | ~measured
    weight = np.where(bad, 0.0, 1.0 / variance)
    power = float((weight * derivative.astype(float) ** 2).sum())
    if power <= 0.0:
        raise NoConvergence("flexure: no light in the traces", hint="look at the frame; is the dome closed?")
    shift = float((weight * derivative * np.where(bad, 0.0, residual)).sum()) / power
    return shift, 1.0 / np.sqrt(power)


# Steps of the mean sky and share of the brightest apertures (sources) that is left out of it.
STEP = 0.5
SOURCE_SHARE = 0.3


def mean_sky(extraction: Extraction, solution: WavelengthSolution, scale: FloatArray, params: FlexureParams) -> MeanSky:
    """Mean of all apertures that hold no source, on the pixel scale of the mean aperture.

    Parameters
    ----------
    extraction : Extraction
    solution : WavelengthSolution
    scale : array (n,)
        Relative throughput of the apertures.
    params : FlexureParams
    """
    table = np.arange(params.sky_low - 300.0, params.sky_high + 300.0, 5.0)
    z_table = _common_scale(solution, table)
    flux = extraction.flux / scale[:, None]
    variance = extraction.variance / scale[:, None] ** 2
    usable = np.isfinite(flux) & np.isfinite(solution.wave) & (variance > 0) & (scale[:, None] > 0.1)
    seen = np.nonzero(usable.any(axis=1))[0]
    brightness = np.full(usable.shape[0], np.inf)
    brightness[seen] = known_median(np.where(usable[seen], flux[seen], np.nan), axis=1)
    usable &= (brightness < np.percentile(brightness[seen], 100 * (1 - SOURCE_SHARE)))[:, None]
    usable &= (solution.wave > table[0]) & (solution.wave < table[-1])
    sign = 1 if z_table[-1] > z_table[0] else -1
    z = np.interp(solution.wave[usable], table, z_table)
    low = int(np.floor(z.min() / STEP))
    index = np.floor(z / STEP).astype(int) - low
    mean, error = _clipped_means(index, flux[usable])
    grid = (np.arange(mean.size) + low + 0.5) * STEP
    wave = np.interp(sign * grid, sign * z_table, table)
    sigma = np.interp(wave, *_typical_width(solution))
    keep = (wave > params.sky_low) & (wave < params.sky_high) & np.isfinite(mean) & (error > 0)
    return MeanSky(grid[keep], wave[keep], mean[keep], error[keep], sigma[keep])


def _common_scale(solution: WavelengthSolution, table: FloatArray) -> FloatArray:
    """Pixel of wavelengths in the mean aperture, from an arbitrary zero."""
    rows = np.nonzero(np.isfinite(solution.wave).sum(axis=1) > 0.9 * solution.wave.shape[1])[0]
    rows = rows[:: max(1, rows.size // 200)]
    places = []
    for a in rows:
        on = np.isfinite(solution.wave[a])
        order = np.argsort(solution.wave[a, on])
        x = np.interp(table, solution.wave[a, on][order], np.nonzero(on)[0][order].astype(float))
        places.append(x - x[table.size // 2])
    return np.asarray(np.median(places, axis=0))


def _typical_width(solution: WavelengthSolution) -> tuple[FloatArray, FloatArray]:
    """Median line-spread width (px) against wavelength."""
    wave, width = known_median(solution.wave, axis=0), known_median(solution.lsf_sigma, axis=0)
    order = np.argsort(wave)
    return wave[order], width[order]


def _clipped_means(index: NDArray[np.int64], flux: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean of every bin, clipped at 4 sigma of the bin's own scatter, and its variance from the scatter."""
    count = int(index.max()) + 1
    use = np.ones(flux.size, bool)
    for _ in range(3):
        n = np.bincount(index[use], minlength=count)
        mean = np.bincount(index[use], flux[use], count) / np.maximum(n, 1)
        spread = np.bincount(index[use], (flux[use] - mean[index[use]]) ** 2, count) / np.maximum(n - 1, 1)
        use = (flux - mean[index]) ** 2 < 16.0 * np.maximum(spread[index], 1e-12)
    enough = n > 10  # noqa: PLR2004 - a scatter from fewer means nothing
    return np.where(enough, mean, np.nan), np.where(enough, spread / np.maximum(n, 1), 0.0)


def shift_along(sky: MeanSky, model: SkyModel, params: FlexureParams) -> tuple[float, float, float]:
    """Shift of the light along dispersion with its error, px, and the reduced chi-square of the fit.

    Raises
    ------
    NoConvergence
        The best shift lies at the end of the search range.
    """
    best, bend = 0.0, 0.0
    for step, points in ((0.25, int(params.reach / 0.25)), (0.08, 4), (0.03, 4)):
        trial = best + step * np.arange(-points, points + 1)
        chi2 = np.array([_fit(sky, model, params, float(shift))[0] for shift in trial])
        low = int(np.argmin(chi2))
        near = slice(max(0, low - 4), low + 5)
        bend, slope, _ = np.polyfit(trial[near] - trial[low], chi2[near], 2)
        best = float(trial[low]) + float(np.clip(-0.5 * slope / bend, -2 * step, 2 * step) if bend > 0 else 0.0)
    if abs(best) > params.reach or bend <= 0:
        raise NoConvergence(
            f"flexure along dispersion: no minimum within {params.reach} px (best {best:.2f} px)",
            hint="check that the frame belongs to this night's calibrations, or raise flexure `reach`",
        )
    final, freedom = _fit(sky, model, params, best)
    reduced = final / max(freedom, 1)
    return best, float(np.sqrt(max(reduced, 1.0) / bend)), reduced


def _fit(sky: MeanSky, model: SkyModel, params: FlexureParams, shift: float) -> tuple[float, int]:
    """Chi-square of the best sky at a trial shift, and the degrees of freedom."""
    design = _design(sky, model, params, shift)
    root = 1.0 / np.sqrt(sky.variance + (_model_error(sky, model) * sky.flux) ** 2)
    weighted = design * root[:, None]
    norm = np.linalg.norm(weighted, axis=0)
    weighted = weighted[:, norm > 0] / norm[norm > 0]
    _, residual = nnls(weighted, sky.flux * root, maxiter=20 * weighted.shape[1])
    return float(residual**2), sky.flux.size - weighted.shape[1]


# What the sky model is allowed to miss, as a share of the sky, and of each absorption in it: sunlight
# and telluric bands are known less well than the lines.
MODEL_ERROR = 0.003
ABSORPTION_ERROR = 0.2


def _model_error(sky: MeanSky, model: SkyModel) -> FloatArray:
    """Relative error of the sky model at every sample (k,)."""
    whole = [model.fraunhofer()[0], *model.absorption.values()]
    depths = np.sum([_blurred(sky, wave, depth, 0.0) for wave, depth in whole], axis=0)
    return np.asarray(MODEL_ERROR + ABSORPTION_ERROR * depths)


def _design(sky: MeanSky, model: SkyModel, params: FlexureParams, shift: float) -> FloatArray:
    """Columns of the sky at a trial shift: carriers, continuum, sunlight, absorptions."""
    order = np.argsort(sky.wave)
    place = np.interp(model.line_wave, sky.wave[order], sky.z[order], left=np.nan, right=np.nan) + shift
    inside = np.isfinite(place)
    width = np.interp(model.line_wave, sky.wave[order], sky.sigma[order])
    carriers = np.unique(model.line_carrier[inside])
    columns = [
        _lines(sky.z, place[m], width[m], model.line_strength[m])
        for c in carriers
        if (m := inside & (model.line_carrier == c)).any()
    ]
    smooth = spline_basis(int(np.ceil(np.ptp(sky.z))) + 2, params.continuum_pieces)
    basis = np.stack([np.interp(sky.z - sky.z.min(), np.arange(b.size), b) for b in smooth.T], axis=1)
    level = basis @ nnls(basis, np.clip(sky.flux, 0, None))[0]
    columns += [*basis.T]
    for wave, depth in (*model.fraunhofer(), *model.absorption.values()):
        columns.append(-level * _blurred(sky, wave, depth, shift))
    return np.stack(columns, axis=1)


def _lines(z: FloatArray, place: FloatArray, width: FloatArray, strength: FloatArray) -> FloatArray:
    """Lines on the half-pixel scale: array (k,)."""
    m = int(np.ceil(np.ptp(z) / STEP)) + 1
    start = np.zeros(1, np.int64)
    at, wide = (place - z.min()) / STEP, width / STEP
    image = line_image(at[None, :], wide[None, :], strength[None, :], start, m)[0]
    return np.asarray(image[np.round((z - z.min()) / STEP).astype(int)])


def _blurred(sky: MeanSky, wave: FloatArray, values: FloatArray, shift: float) -> FloatArray:
    """A known spectrum at the sky's samples, shifted along z and blurred with the line-spread function."""
    order = np.argsort(sky.z)
    z = sky.z[order]
    fine = np.arange(z[0] - 8.0, z[-1] + 8.0, 0.1)
    slope = np.polyfit(z, sky.wave[order], 5)
    at = np.interp(fine - shift, z, sky.wave[order])
    beyond = (fine - shift < z[0]) | (fine - shift > z[-1])
    at = np.where(beyond, np.polyval(slope, fine - shift), at)
    value = np.interp(at, wave, values)
    t = np.arange(-50, 51) * 0.1
    sigma = float(np.median(sky.sigma))
    kernel = np.exp(-0.5 * (t / sigma) ** 2)
    return np.asarray(np.interp(sky.z, fine, np.convolve(value, kernel / kernel.sum(), mode="same")))

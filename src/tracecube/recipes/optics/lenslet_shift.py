"""How far the lenslet spectra of one frame have moved since the day's calibrations.

Across dispersion every pixel of every trace tells: shift, turn and stretch are the coefficients of
(dA/dx) f in the frame, the fluxes projected out. Along dispersion the spectra have no lines, but the
instrument's own band has ends: the ratio of the night's mean spectrum to the lamp's is smooth only
where the two are laid on each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import LampSpectrum, TraceSet
from tracecube.core.params import Params
from tracecube.core.spectra import Spectra
from tracecube.kernels.forward import adjoint, project
from tracecube.kernels.solve import factorise, normal_equations, solve
from tracecube.recipes.extract.joint import Extraction, TraceMatrix

__all__ = ["Shift", "ShiftParams", "moved", "shift_across", "shift_along"]

_CENTRE_SHARE = 0.5  # turn and stretch are about the middle of the detector
_SCALE = 1000.0  # px: turn and stretch are fitted as displacements so far from the middle
_GRID = 0.1  # px, step of trial shifts along dispersion


class ShiftParams(Params):
    """How the night's shift is measured."""

    reach: float = Field(1.5, gt=0, description="largest shift along dispersion that is looked for, px")
    smooth_degree: int = Field(5, ge=1, le=12, description="degree of the ratio of night to lamp in wavelength")


@dataclass(frozen=True)
class Shift:
    """Movement of the light on the detector: x' = x + dx + stretch X - turn Y, y' = y + dy + stretch Y + turn X.

    X, Y from the middle of the detector.

    Parameters
    ----------
    dx, dy : float, px
    turn, stretch : float
    dx_error, dy_error : float, px
    """

    dx: float = 0.0
    dy: float = 0.0
    turn: float = 0.0
    stretch: float = 0.0
    dx_error: float = 0.0
    dy_error: float = 0.0


def moved(traces: TraceSet, wave: FloatArray, shift: Shift, shape: tuple[int, int]) -> tuple[TraceSet, FloatArray]:
    """Return traces and wavelengths (n, m) of light that has moved.

    Samples stay on whole rows: centre and wavelength are those of the light that now falls there.
    """
    rows = traces.start[:, None] + np.arange(traces.centre.shape[1])
    x, y = traces.centre - _CENTRE_SHARE * (shape[1] - 1), rows - _CENTRE_SHARE * (shape[0] - 1)
    along = shift.dy + shift.stretch * y + shift.turn * x
    across = shift.dx + shift.stretch * x - shift.turn * y
    tilt = np.gradient(traces.centre, axis=1)
    centre = traces.centre + across - np.where(np.isfinite(tilt), tilt, 0.0) * along
    slope = np.gradient(wave, axis=1)
    bend = np.gradient(slope, axis=1)
    changed = wave - np.where(np.isfinite(slope), slope, np.nan) * along
    changed = np.where(np.isfinite(bend), changed + 0.5 * bend * along**2, changed)
    kept = np.isfinite(centre) & np.isfinite(changed)
    sigma = np.where(kept, traces.sigma, np.nan)
    return replace(traces, centre=np.where(kept, centre, np.nan), sigma=sigma), np.where(kept, changed, np.nan)


def shift_across(
    frame: Frame, matrix: TraceMatrix, derivative: TraceMatrix, extraction: Extraction, traces: TraceSet
) -> Shift:
    """Measure shift, turn and stretch across dispersion from the residuals of an extraction.

    Parameters
    ----------
    frame : Frame
    matrix, derivative : TraceMatrix
        A and dA/dx of the same traces.
    extraction : Extraction
        Of the frame with ``matrix``.
    traces : TraceSet
    """
    data = matrix.canonical(frame.data)
    bad = matrix.canonical((frame.flags & NOT_USABLE != 0) | ~np.isfinite(frame.data) | extraction.outlier)
    ivar = np.where(bad, 0.0, 1.0 / np.where(bad, 1.0, matrix.canonical(frame.variance))).astype(np.float32)
    left = np.where(bad, 0.0, data - matrix.canonical(extraction.model)).astype(np.float32)
    flux = np.nan_to_num(matrix.gather(extraction.flux))
    factor = factorise(normal_equations(matrix.a, left, ivar, band=matrix.band))
    along = (traces.start[matrix.row] + matrix.sample) - _CENTRE_SHARE * (frame.data.shape[0] - 1)
    across = matrix.gather(traces.centre) - _CENTRE_SHARE * (frame.data.shape[1] - 1)
    images = []
    for weight in (np.ones(flux.size), across / _SCALE, -along / _SCALE):
        image = project(derivative.a, flux * weight)
        image = image - project(matrix.a, solve(factor, adjoint(matrix.a, ivar * image)))
        images.append(image.astype(np.float64))
    normal = np.array([[float((ivar * a * b).sum()) for b in images] for a in images])
    rhs = np.array([float((ivar * left * a).sum()) for a in images])
    covariance = np.linalg.inv(normal)
    found = covariance @ rhs
    return Shift(
        dx=float(found[0]),
        stretch=float(found[1]) / _SCALE,
        turn=float(found[2]) / _SCALE,
        dx_error=float(np.sqrt(covariance[0, 0])),
    )


def shift_along(
    night: Spectra, lamp: LampSpectrum, params: ShiftParams, *, avoid: tuple[tuple[float, float], ...] = ()
) -> tuple[float, float]:
    """Measure the shift along dispersion from the ends of the band.

    Parameters
    ----------
    night : Spectra
        As the detector sampled them, with the day's wavelengths.
    lamp : LampSpectrum
    params : ShiftParams
    avoid : tuple of (float, float), Angstrom
        Telluric bands, which the lamp has not.

    Returns
    -------
    dy, error : float, px

    Raises
    ------
    NoConvergence
        The best shift lies at the edge of what was tried.
    """
    wave, own, pixel = mean_spectrum(night)
    other = np.interp(wave, lamp.wave, lamp.flux, left=np.nan, right=np.nan)
    use = _usable(wave, own, other, avoid)
    trials = np.arange(-params.reach, params.reach + 0.5 * _GRID, _GRID)
    misfit = np.array([_misfit(wave, own, other, pixel, use, dy, params.smooth_degree)[0] for dy in trials])
    best = int(np.argmin(misfit))
    if best in {0, trials.size - 1}:
        raise NoConvergence(
            f"the band's ends lie more than {params.reach:g} px from the lamp's", hint="raise reach; look at the frame"
        )
    fine = trials[best] + np.linspace(-_GRID, _GRID, 21)
    values = np.array([_misfit(wave, own, other, pixel, use, dy, params.smooth_degree) for dy in fine])
    bend, slope, _ = np.polyfit(fine - trials[best], values[:, 0], 2)
    dy = trials[best] - slope / (2.0 * bend)
    freedom = max(values[:, 1].min() - params.smooth_degree - 2.0, 1.0)
    return float(dy), float(np.sqrt(values[:, 0].min() / freedom / bend))


def mean_spectrum(spectra: Spectra) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean of all whole spectra.

    Parameters
    ----------
    spectra : Spectra
        As the detector sampled them.

    Returns
    -------
    wave : array (k,), Angstrom
    flux : array (k,)
        Per Angstrom.
    pixel : array (k,), Angstrom
        Width of a pixel.
    """
    whole = spectra.dq & int(Flag.NOT_MEASURED) == 0
    w, f = spectra.wave[whole], np.where(spectra.flags[whole] == 0, spectra.flux[whole], np.nan)
    step = float(np.nanmedian(np.abs(np.diff(w, axis=1)))) / 4.0
    wave = np.arange(np.nanpercentile(w, 1), np.nanpercentile(w, 99), step)
    total, count = np.zeros(wave.size), 0
    for row, light in zip(w, f, strict=True):
        good = np.isfinite(row) & np.isfinite(light)
        if good.sum() > 0.9 * np.isfinite(row).sum():  # noqa: PLR2004 - nearly whole
            total += np.interp(wave, row[good], light[good])
            count += 1
    pixel = np.interp(wave, np.nanmedian(w, axis=0), np.nanmedian(np.abs(np.gradient(w, axis=1)), axis=0))
    return wave, total / max(count, 1), pixel


def _usable(wave: FloatArray, own: FloatArray, other: FloatArray, avoid: tuple[tuple[float, float], ...]) -> BoolArray:
    """Samples outside telluric bands where the lamp shines at all."""
    use = np.isfinite(own) & np.isfinite(other)
    use &= np.where(use, other, 0.0) > 0.02 * np.nanmax(other)
    for low, high in avoid:
        use &= (wave < low) | (wave > high)
    return np.asarray(use)


def _misfit(  # noqa: PLR0913, PLR0917 - two spectra on one grid
    wave: FloatArray, own: FloatArray, other: FloatArray, pixel: FloatArray, use: BoolArray, dy: float, degree: int
) -> tuple[float, float]:
    """Sum of squares of night less lamp, moved by ``dy`` px and times a polynomial; and the number of pixels."""
    there = np.isfinite(other)
    at = np.interp(wave + dy * pixel, wave[there], other[there])
    t = 2.0 * (wave - wave[0]) / (wave[-1] - wave[0]) - 1.0
    columns = np.polynomial.legendre.legvander(t, degree) * at[:, None]
    level = np.nanmax(own)
    found = np.linalg.lstsq(columns[use], own[use], rcond=None)[0]
    left = (own[use] - columns[use] @ found) / level
    samples = float(np.median(pixel) / (wave[1] - wave[0]))
    return float((left**2).sum() / samples), float(use.sum() / samples)

"""How far the lenslet spectra of one frame have moved since the day's calibrations.

Across dispersion every pixel of every trace tells: shift, turn and stretch are the coefficients of
(dA/dx) f in the frame, the fluxes projected out. Along dispersion the night's mean spectrum is the
lamp's, moved, times what the atmosphere lets through, times what is smooth: the ends of the band and
the water bands tell the shift.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import least_squares

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import LampSpectrum, TraceSet
from tracecube.core.params import Params
from tracecube.core.spectra import Spectra
from tracecube.kernels.forward import adjoint, project
from tracecube.kernels.solve import factorise, normal_equations, solve
from tracecube.recipes.extract.joint import Extraction, TraceMatrix

__all__ = [
    "AirTransmission",
    "Expected",
    "Shift",
    "ShiftParams",
    "mean_spectrum",
    "moved",
    "shift_across",
    "shift_along",
]

_CENTRE_SHARE = 0.5  # turn and stretch are about the middle of the detector
_SCALE = 1000.0  # px: turn and stretch are fitted as displacements so far from the middle
_GRID = 0.1  # px, step of trial shifts along dispersion
_FAINT = 0.3  # of the lamp's peak: beyond the band's ends the next lenslet's light begins


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


@dataclass(frozen=True)
class Expected:
    """What is known of a shift before the frame is looked at: its value, and the errors of that.

    Parameters
    ----------
    shift : Shift
    across, along : float, px
    turn : float
        Of turn and of stretch.
    base : float, px
        Error along dispersion of the frame that ``shift`` comes from: what fools it there fools it here.
    """

    shift: Shift
    across: float
    along: float
    turn: float
    base: float = 0.0


def shift_across(  # noqa: PLR0913 - a frame, its extraction, and what is known before
    frame: Frame,
    matrix: TraceMatrix,
    derivative: TraceMatrix,
    extraction: Extraction,
    traces: TraceSet,
    *,
    now: Shift,
    expected: Expected,
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
        Moved by ``now``.
    now : Shift
    expected : Expected
        A frame with light in few lenslets says little of turn and stretch.

    Returns
    -------
    Shift
        The whole movement across dispersion, ``now`` included.
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
    sigma = np.array([expected.across, expected.turn * _SCALE, expected.turn * _SCALE])
    known = np.array([expected.shift.dx, expected.shift.stretch * _SCALE, expected.shift.turn * _SCALE])
    before = np.array([now.dx, now.stretch * _SCALE, now.turn * _SCALE])
    covariance = np.linalg.inv(normal + np.diag(sigma**-2))
    found = before + covariance @ (rhs + (known - before) / sigma**2)
    return Shift(
        dx=float(found[0]),
        stretch=float(found[1]) / _SCALE,
        turn=float(found[2]) / _SCALE,
        dx_error=float(np.sqrt(covariance[0, 0])),
    )


def shift_along(
    night: Spectra, lamp: LampSpectrum, air: AirTransmission, params: ShiftParams, *, lsf: float
) -> tuple[float, float]:
    """Measure the shift along dispersion from the ends of the band and the bands of the atmosphere.

    Parameters
    ----------
    night : Spectra
        As the detector sampled them, with the day's wavelengths.
    lamp : LampSpectrum
    air : AirTransmission
    params : ShiftParams
    lsf : float, px
        Width of the line-spread function.

    Returns
    -------
    dy, error : float, px

    Raises
    ------
    NoConvergence
        The best shift lies at the edge of what was tried.
    """
    wave, own, pixel = mean_spectrum(night)
    model = _NightModel(wave, own, pixel, lamp, air, params.smooth_degree, lsf)
    trials = np.arange(-params.reach, params.reach + 0.5 * _GRID, _GRID)
    misfit = [float((model.residual(np.array([dy, 1.0])) ** 2).sum()) for dy in trials]
    best = int(np.argmin(misfit))
    found = least_squares(model.residual, np.array([trials[best], 1.0]), jac=model.slopes, x_scale=[0.1, 0.3])
    if abs(found.x[0]) > params.reach:
        raise NoConvergence(
            f"the band lies more than {params.reach:g} px from the lamp's", hint="raise reach; look at the frame"
        )
    pixels = float(model.use.sum() * (wave[1] - wave[0]) / np.median(pixel))
    freedom = max(pixels - params.smooth_degree - 3.0, 1.0)
    # neighbouring samples of the fine grid tell the same: as many are independent as there are pixels
    if not np.any(found.jac[:, 0]):
        raise NoConvergence("no edge of the band tells of the shift along dispersion", hint="look at the frame")
    # without any band of the air its depth is at its bound, where the model does not depend on it
    covariance = np.linalg.pinv(found.jac.T @ found.jac) * (found.fun**2).sum() / freedom * model.use.sum() / pixels
    return float(found.x[0]), float(np.sqrt(covariance[0, 0]))


@dataclass(frozen=True)
class AirTransmission:
    """What the air lets through at one airmass: arrays (k,), wave in Angstrom."""

    wave: FloatArray
    transmission: FloatArray


class _NightModel:
    """The night's mean spectrum as lamp, air and a polynomial."""

    def __init__(  # noqa: PLR0913, PLR0917 - two spectra and what lies between them
        self,
        wave: FloatArray,
        own: FloatArray,
        pixel: FloatArray,
        lamp: LampSpectrum,
        air: AirTransmission,
        degree: int,
        lsf: float,
    ) -> None:
        self.wave, self.own, self.pixel, self.lamp = wave, own / np.nanmax(own), pixel, lamp
        t = 2.0 * (wave - wave[0]) / (wave[-1] - wave[0]) - 1.0
        self.basis = np.polynomial.legendre.legvander(t, degree)
        # the air on a grid of an eighth of a pixel, so that the line-spread function blurs it as it does light
        place = np.concatenate([[0.0], np.cumsum(np.diff(wave) / (0.5 * (pixel[1:] + pixel[:-1])))])
        self.fine = np.arange(place[0] - 2.0, place[-1] + 2.0, 0.125)
        self.place, self.lsf = place, lsf
        self.fine_wave = np.interp(self.fine, place, wave)
        self.fine_wave[self.fine < place[0]] = wave[0] + (self.fine[self.fine < place[0]] - place[0]) * pixel[0]
        beyond = self.fine > place[-1]
        self.fine_wave[beyond] = wave[-1] + (self.fine[beyond] - place[-1]) * pixel[-1]
        bins = np.concatenate([[air.wave[0]], 0.5 * (self.fine_wave[1:] + self.fine_wave[:-1]), [air.wave[-1]]])
        total = np.concatenate([[0.0], np.cumsum(-np.log(np.maximum(air.transmission, 1e-4)))])
        at = np.interp(bins, np.append(air.wave, air.wave[-1] + 1.0), total)
        count = np.interp(bins, np.append(air.wave, air.wave[-1] + 1.0), np.arange(total.size))
        self.depth = np.diff(at) / np.maximum(np.diff(count), 1e-9)
        level = np.interp(wave, lamp.wave, lamp.flux, left=0.0, right=0.0)
        self.use = np.isfinite(self.own) & (level > _FAINT * np.nanmax(lamp.flux))

    def slopes(self, values: FloatArray) -> FloatArray:
        """Derivatives of the residual with the values."""
        steps = 0.01 * np.eye(2)
        return np.stack([(self.residual(values + h) - self.residual(values - h)) / 0.02 for h in steps], axis=1)

    def residual(self, values: FloatArray) -> FloatArray:
        """Night less model, the polynomial fitted; values: shift (px), depth of the air's bands."""
        dy, depth = float(values[0]), float(np.clip(values[1], 0.0, 10.0))
        back = self.wave - dy * self.pixel
        lamp = np.interp(back, self.lamp.wave, self.lamp.flux)
        air = gaussian_filter1d(np.exp(-depth * self.depth), self.lsf / 0.125)
        seen = lamp * np.interp(self.place - dy, self.fine, air)
        columns = self.basis * (seen / np.max(self.lamp.flux))[:, None]
        found = np.linalg.lstsq(columns[self.use], self.own[self.use], rcond=None)[0]
        return np.asarray(self.own[self.use] - columns[self.use] @ found)


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
    typical, width = np.nanmedian(w, axis=0), np.nanmedian(np.abs(np.gradient(w, axis=1)), axis=0)
    known = np.isfinite(typical) & np.isfinite(width)
    pixel = np.interp(wave, typical[known], width[known])
    return wave, total / max(count, 1), pixel

"""How far the lenslet spectra of one frame have moved since the day's calibrations.

Across dispersion every pixel of every trace tells: shift, turn and stretch are the coefficients of
(dA/dx) f in the frame, the fluxes projected out. Along dispersion the night's mean spectrum tells
(`tracecube.recipes.optics.night_shift`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.kernels.forward import adjoint, project
from tracecube.kernels.solve import factorise, normal_equations, solve
from tracecube.recipes.extract.joint import Extraction, TraceMatrix

__all__ = ["Expected", "Shift", "moved", "shift_across"]

_CENTRE_SHARE = 0.5  # turn and stretch are about the middle of the detector
_SCALE = 1000.0  # px: turn and stretch are fitted as displacements so far from the middle


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

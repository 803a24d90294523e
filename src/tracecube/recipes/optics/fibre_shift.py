"""Shift in wavelength of an exposure against the arcs, from emission lines of the sky itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray
from tracecube.recipes.optics.fibre_lines import FibreArc, FibreLine, LineShape, fit_lines

__all__ = ["ExposureShift", "exposure_shift"]

_CLIP = 4.0
_ROUNDS = 5
_PIVOT = 4500.0  # Angstrom
_PER = 1000.0  # Angstrom
_LEAST = 20  # fibres that show a line
_SIGNIFICANT = 3.0  # errors of a slope that counts


class ExposureShift(NamedTuple):
    """What is to be added to the arcs' wavelengths: ``offset + slope (wave - 4500) / 1000``, Angstrom, with errors."""

    offset: float
    offset_error: float
    slope: float
    slope_error: float
    chi2: float

    def __call__(self, wave: FloatArray) -> FloatArray:
        """Return the shift at wavelengths, Angstrom."""
        return np.asarray(self.offset + self.slope * (wave - _PIVOT) / _PER)


def exposure_shift(sky: FibreArc, wave: FloatArray, lsf_sigma: FloatArray, lines: tuple[float, ...]) -> ExposureShift:
    """Measure the shift of an exposure's wavelengths against the arcs'.

    Parameters
    ----------
    sky : FibreArc (n, m)
        Extracted spectra of the exposure; rows with bright sources are better flagged.
    wave : array (n, m), Angstrom
        Wavelengths of the arcs; NaN where there are none.
    lsf_sigma : array (n, m), px
    lines : tuple of float
        Wavelengths of emission lines of the sky, Angstrom, in the medium of ``wave``.

    Raises
    ------
    NoConvergence
        Too few fibres show a line.
    """
    named = tuple(FibreLine(line, "sky") for line in lines)
    live = np.isfinite(wave).all(axis=1)
    sky = FibreArc(sky.flux[live], sky.variance[live], sky.flags[live])
    wave, lsf_sigma = wave[live], lsf_sigma[live]
    column = np.arange(wave.shape[1])
    place = np.array([np.interp(lines, row, column) for row in wave])
    at = np.clip(np.round(place).astype(int), 1, wave.shape[1] - 2)
    rows = np.arange(len(wave))[:, None]
    none = np.zeros((len(lines), 0))
    shape = LineShape(lsf_sigma[rows, at], np.zeros((len(lines), 4)), none, none)
    fits = fit_lines({"sky": sky}, named, place, shape, with_width=False)
    step = 0.5 * (wave[rows, at + 1] - wave[rows, at - 1])
    # the line falls redward of its place in the arcs' frame: the wavelengths there were too long
    off, error = -(fits.x - place) * step, fits.x_error * step
    seen = np.isfinite(off) & (error > 0)
    if seen.sum() < _LEAST:
        raise NoConvergence(
            f"shift of an exposure: {int(seen.sum())} fits of sky lines, {_LEAST} are needed",
            hint="the shift between arcs and exposure stays unknown: add its size to the errors",
        )
    return _straight(np.broadcast_to((np.array(lines) - _PIVOT) / _PER, off.shape)[seen], off[seen], error[seen])


def _straight(u: FloatArray, off: FloatArray, error: FloatArray) -> ExposureShift:
    """Fit a straight line without outliers; a slope that is not significant is none."""
    used = np.ones(off.size, bool)
    solution: FloatArray = np.zeros(2)
    covariance: FloatArray = np.zeros((2, 2))
    left: FloatArray = off / error
    terms = 2 if np.ptp(u) > 0 else 1
    while True:
        design = np.stack([np.ones(u.size), u], axis=1)[:, :terms] / error[:, None]
        for _ in range(_ROUNDS):
            covariance = np.linalg.inv(design[used].T @ design[used])
            solution = covariance @ (design[used].T @ (off / error)[used])
            left = off / error - design @ solution
            used = np.abs(left) < _CLIP * max(1.0, 1.4826 * float(np.median(np.abs(left))))
        if terms == 1 or abs(solution[1]) > _SIGNIFICANT * np.sqrt(covariance[1, 1]):
            break
        terms = 1
    chi2 = float((left[used] ** 2).sum() / max(int(used.sum()) - terms, 1))
    errors = np.sqrt(np.diag(covariance) * max(chi2, 1.0))
    slope, slope_error = (solution[1], errors[1]) if terms > 1 else (0.0, 0.0)
    return ExposureShift(float(solution[0]), float(errors[0]), float(slope), float(slope_error), chi2)

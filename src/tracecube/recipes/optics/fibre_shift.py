"""How far an exposure's light lies off the arcs along dispersion, from lines of the sky itself.

Every fibre of a CCD sees the same lines, and what moves them moves all: one shift is fitted to all fibres at once, the
strength of the line and the light beneath left free in each. A line that no fibre shows well is so measured by all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.recipes.optics.fibre_lines import FibreArc

__all__ = ["ExposureShift", "exposure_shift"]

F8 = NDArray[np.float64]

_HALF = 7  # px on either side of a line that its fit sees
_LEAST = 10  # of them that must be good
_ROUNDS = 8
_AT_REST = 1e-4  # px: last step of a fit that has come to rest
_SEEN = 8.0  # sigma of the fibres' typical flux, all together, of a line that tells a shift
_ODD = 5.0  # sigma of a fibre's chi-square that sees something else beside the line
_REACH = 3.0  # px: a line farther off is another


class ExposureShift(NamedTuple):
    """Shift of the light along dispersion against the arcs.

    Parameters
    ----------
    pixels, error : float
        To higher columns, px. The error is widened where lines disagree.
    chi2 : float
        Reduced, of the lines' shifts about the mean; NaN with one line.
    lines : tuple of (float, float, float)
        Wavelength (Angstrom), shift and error (px) of each line that was seen.
    """

    pixels: float
    error: float
    chi2: float
    lines: tuple[tuple[float, float, float], ...]

    def __call__(self, wave: FloatArray) -> FloatArray:
        """Return the wavelengths (n, m) of columns whose light has moved, given those of the arcs."""
        return np.asarray(wave - self.pixels * np.gradient(wave, axis=1), np.float64)


def exposure_shift(
    sky: FibreArc, wave: FloatArray, lsf_sigma: FloatArray, lines: tuple[float, ...], *, wave_error: FloatArray
) -> ExposureShift:
    """Measure the shift of an exposure's light along dispersion.

    Parameters
    ----------
    sky : FibreArc (n, m)
        Extracted spectra of the exposure.
    wave : array (n, m), Angstrom
        Wavelengths of the arcs; NaN where there are none.
    lsf_sigma : array (n, m), px
    lines : tuple of float
        Wavelengths of lines of the sky that stand alone, Angstrom, in the medium of ``wave``; bright or dark.
    wave_error : array (n, m), Angstrom
        Errors of ``wave``, which all fibres have in common.

    Raises
    ------
    NoConvergence
        No line stands out.
    """
    live = np.isfinite(wave).all(axis=1)
    sky = FibreArc(sky.flux[live], sky.variance[live], sky.flags[live])
    wave, lsf_sigma, arcs = wave[live], lsf_sigma[live], wave_error[live] / np.gradient(wave[live], axis=1)
    column = np.arange(wave.shape[1])
    found = []
    for line in lines:
        place = np.array([np.interp(line, one, column, left=np.nan, right=np.nan) for one in wave])
        on = np.isfinite(place)
        if not on.any():
            continue
        at = np.round(place[on]).astype(int)
        row = np.flatnonzero(on)
        one = _common_shift(FibreArc(*(part[on] for part in sky)), place[on], lsf_sigma[row, at])
        if one is not None:
            found.append((line, one[0], float(np.hypot(one[1], np.median(arcs[row, at])))))
    if not found:
        raise NoConvergence(
            f"shift of an exposure: none of the lines at {', '.join(f'{line:.0f}' for line in lines)} stands out",
            hint="its wavelengths stay those of the arcs: add the drift of the night to their errors",
        )
    _, value, error = np.array(found).T
    weight = 1.0 / error**2
    mean = float((weight * value).sum() / weight.sum())
    chi2 = float((weight * (value - mean) ** 2).sum() / (value.size - 1)) if value.size > 1 else np.nan
    return ExposureShift(mean, float(np.sqrt(np.fmax(chi2, 1.0) / weight.sum())), chi2, tuple(found))


class _Windows(NamedTuple):
    """Columns about a line, arrays (n, w): data, inverse variance, the line of flux 1, and its change with shift.

    ``inverse`` (n, 3, 3) is that of the equations of each fibre's own line, level and slope, ``own`` (n, w, 3).
    """

    data: F8
    ivar: F8
    change: F8
    own: F8
    inverse: F8

    @classmethod
    def cut(cls, sky: FibreArc, place: FloatArray, width: FloatArray) -> _Windows:
        """Cut windows about places (n,) of a line of these widths (n,), px."""
        m = sky.flux.shape[1]
        columns = np.rint(place).astype(int)[:, None] + np.arange(-_HALF, _HALF + 1)
        at = np.clip(columns, 0, m - 1)
        ivar = np.where(columns == at, np.take_along_axis(sky.ivar, at, axis=1), 0.0)
        ivar[(ivar > 0).sum(axis=1) < _LEAST] = 0.0
        data = np.where(ivar > 0, np.take_along_axis(np.asarray(sky.flux, np.float64), at, axis=1), 0.0)
        edge = (np.append(columns, columns[:, -1:] + 1, axis=1) - 0.5 - place[:, None]) / width[:, None]
        change = -np.diff(np.exp(-0.5 * edge**2), axis=1) / (np.sqrt(2.0 * np.pi) * width[:, None])
        slope = np.broadcast_to(np.arange(-_HALF, _HALF + 1) / _HALF, data.shape)
        own = np.stack([np.diff(ndtr(edge), axis=1), np.ones_like(data), slope], axis=2)
        normal = np.einsum("nwa,nw,nwb->nab", own, ivar, own)
        normal[~(ivar > 0).any(axis=1)] = np.eye(3)
        return cls(data, ivar, change, own, np.linalg.inv(normal))

    def fitted(self, values: F8) -> F8:
        """Best own parameters (n, 3) for values (n, w)."""
        return np.asarray(np.einsum("nab,nwb,nw,nw->na", self.inverse, self.own, self.ivar, values, optimize=True))

    def left(self, values: F8) -> F8:
        """What the own parameters cannot take of values."""
        return np.asarray(values - np.einsum("nwa,na->nw", self.own, self.fitted(values)))


def _common_shift(sky: FibreArc, place: FloatArray, width: FloatArray) -> tuple[float, float] | None:
    """Shift (px) and error of one line in all fibres; None if it is not seen."""
    shift, step, error = 0.0, np.inf, np.inf
    for _ in range(_ROUNDS):
        windows = _Windows.cut(sky, place + shift, width)
        used = _usual(windows)
        weight = np.where(used, 1.0 / windows.inverse[:, 0, 0], 0.0)
        if not used.any():
            return None
        # the fibres' own fluxes are noise where the line is faint: as weights they would favour chance
        flux = float((weight * windows.fitted(windows.data)[:, 0]).sum() / weight.sum())
        if abs(flux) * np.sqrt(weight.sum()) < _SEEN:
            return None
        change, rest = flux * windows.left(windows.change), windows.left(windows.data)
        power = float((windows.ivar * change**2)[used].sum())
        step, error = float((windows.ivar * change * rest)[used].sum()) / power, 1.0 / float(np.sqrt(power))
        shift += float(np.clip(step, -1.0, 1.0))
        if abs(step) < _AT_REST:
            break
    return (shift, error) if abs(step) < max(0.1 * error, _AT_REST) and abs(shift) < _REACH else None


def _usual(windows: _Windows) -> BoolArray:
    """Fibres (n,) whose windows hold the line and nothing else."""
    freedom = np.maximum((windows.ivar > 0).sum(axis=1) - 3.0, 1.0)
    chi2 = (windows.ivar * windows.left(windows.data) ** 2).sum(axis=1) / freedom
    seen = (windows.ivar > 0).any(axis=1)
    # a line that lies off, or is wider than thought, leaves something in all fibres
    middle = max(1.0, float(np.median(chi2[seen]))) if seen.any() else 1.0
    return np.asarray(seen & (chi2 < middle * (1.0 + _ODD * np.sqrt(2.0 / freedom))))

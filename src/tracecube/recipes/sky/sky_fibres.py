"""Fibres of all detectors of an exposure, pared down to what one common spectrum needs of them.

An exposure of a whole field is thirty-six million samples: each is kept as 16 bytes, and detectors are read one at a
time. Wavelengths are the mean ones of a detector and how far each lies from them, widths of line-spread
functions every few columns: both are smooth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.kernels.common_spectrum import CommonSpectrum, accumulate, empty_system, evaluate, solve_common

__all__ = ["LOW", "SkyFibres", "excess_width", "gather_fibres", "own_shift", "seen_by", "solve_all"]

LOW = 0.05  # of the common throughput: nothing is divided by less
_SPARSE = 8  # columns over which the width of a line-spread function is straight
_EDGE = 20.0  # Angstrom of knots beyond the samples


@dataclass
class SkyFibres:
    """Fibres of one detector and exposure, ready to be fitted: no more than the fit needs, in single precision.

    Parameters
    ----------
    flux : array (n, m), electron
    ivar : array (n, m)
        Inverse variance; 0 for samples that do not count.
    middle : float64 array (m,), bent : float32 array (n, m), Angstrom
        Mean wavelengths, and how far each fibre's are from them: single precision knows those to 1e-6 Angstrom.
    expected : array (n, m)
        Throughput times the width of a pixel (Angstrom): what a sky of 1 electron / Angstrom gives.
    wider : array (n, k), Angstrom**2
        By how much squared widths of line-spread functions exceed the reference, in every `_SPARSE`-th column and one
        beyond the last.
    about : tuple of arrays (n,)
        Unit, amplifier, number, exposure of each fibre.
    slot, x, y, dq : array (n,)
        Bundle, and place in it (arcsec).
    ground_error : array (n,), electron
        Error of the level beneath a fibre, 0 where none is stated.
    shift : float, Angstrom
    """

    flux: FloatArray
    ivar: FloatArray
    middle: FloatArray
    bent: FloatArray
    expected: FloatArray
    wider: FloatArray
    about: tuple[Any, ...]
    slot: IntArray
    x: FloatArray
    y: FloatArray
    dq: IntArray
    ground_error: FloatArray
    shift: float = 0.0

    @property
    def wave(self) -> FloatArray:
        """Wavelengths as calibrated, float64 (n, m), Angstrom."""
        return np.asarray(self.middle + self.bent)

    @property
    def excess(self) -> FloatArray:
        """By how much squared widths of line-spread functions exceed the reference, float32 (n, m), Angstrom**2."""
        n, m = self.bent.shape
        part = np.arange(_SPARSE, dtype=np.float32) / _SPARSE
        left, rise = self.wider[:, :-1, None], np.diff(self.wider, axis=1)[:, :, None]
        return np.asarray((left + rise * part).reshape(n, -1)[:, :m])

    @property
    def good(self) -> BoolArray:
        """Samples that count, (n, m)."""
        return np.asarray(self.ivar > 0)

    @property
    def shifted(self) -> FloatArray:
        """Wavelengths with this exposure's shift."""
        return self.wave + self.shift


def _prepared(spectra: FibreSpectra, throughput: FloatArray | None) -> SkyFibres:
    """Gather what the fit needs of one detector; ``wider`` is still the line-spread function's width."""
    step = np.gradient(spectra.wave, axis=1)
    found = np.ones_like(spectra.wave) if throughput is None else throughput
    good = (spectra.flags == 0) & np.isfinite(spectra.flux) & (spectra.variance > 0) & (spectra.dq == 0)[:, None]
    good &= np.isfinite(found) & (found > LOW)
    middle = np.nanmean(spectra.wave, axis=0, dtype=float)
    return SkyFibres(
        flux=np.where(good, spectra.flux, 0.0).astype(np.float32),
        ivar=np.where(good, 1.0 / np.where(good, spectra.variance, 1.0), 0.0).astype(np.float32),
        middle=middle,
        bent=(spectra.wave - middle).astype(np.float32),
        expected=np.where(good, found * step, 0.0).astype(np.float32),
        wider=np.nan_to_num(_at_nodes(np.asarray(spectra.lsf_sigma, np.float32))),
        about=(spectra.unit, spectra.amp, spectra.fibre, spectra.exp),
        slot=spectra.ifuslot,
        x=np.asarray(spectra.x, float),
        y=np.asarray(spectra.y, float),
        dq=spectra.dq,
        ground_error=np.zeros(len(spectra.dq)) if spectra.ground_error is None else np.asarray(spectra.ground_error),
    )


def gather_fibres(
    given: Iterable[tuple[FibreSpectra, FloatArray | None]],
) -> tuple[list[SkyFibres], FloatArray]:
    """Gather all detectors, and the typical width of their line-spread functions: array (2, k), Angstrom."""
    fibres = [_prepared(*one) for one in given]
    if not fibres:
        raise BadData("sky: no fibre has light", hint="look at the frames and their throughput")
    low = min(float(np.nanmin(one.wave)) for one in fibres)
    high = max(float(np.nanmax(one.wave)) for one in fibres)
    grid = np.linspace(low, high, 60)
    rows = [row for one in fibres for row in _some_widths(one, grid)]
    reference = np.stack([grid, np.median(rows, axis=0)])
    for one in fibres:
        nodes = excess_width(_at_nodes(one.wave), one.wider, reference)
        one.wider = _straight_on(nodes, one.bent.shape[1]).astype(np.float32)
    return fibres, reference


def _at_nodes(values: FloatArray) -> FloatArray:
    """Return every `_SPARSE`-th of values (n, m), and the last."""
    return np.concatenate([values[:, ::_SPARSE], values[:, -1:]], axis=1)


def _straight_on(nodes: FloatArray, m: int) -> FloatArray:
    """Move the last of values (n, k) from the last of ``m`` columns to a node beyond, on a line through that before."""
    left = (m - 1) % _SPARSE
    rise = (nodes[:, -1] - nodes[:, -2]) / left if left else (nodes[:, -2] - nodes[:, -3]) / _SPARSE
    return np.concatenate([nodes[:, :-1], (nodes[:, -2] + _SPARSE * rise)[:, None]], axis=1)


def _some_widths(one: SkyFibres, grid: FloatArray) -> Iterator[FloatArray]:
    """Yield widths of the line-spread functions of every 16th fibre at wavelengths (k,), Angstrom."""
    for wave, width in zip(_at_nodes(one.wave[::16]), one.wider[::16], strict=True):
        yield np.interp(grid, wave, width)


def excess_width(wave: FloatArray, sigma: FloatArray, reference: FloatArray) -> FloatArray:
    """Return by how much the squared width of a line-spread function exceeds that of a reference, Angstrom**2."""
    return np.asarray(sigma.astype(float) ** 2 - np.interp(wave, reference[0], reference[1]) ** 2)


def solve_all(
    all_fibres: Sequence[SkyFibres],
    parts: Iterable[tuple[FloatArray, FloatArray]],
    knots: float,
) -> CommonSpectrum:
    """Solve for the common spectrum of all detectors, one detector at a time.

    Parameters
    ----------
    parts : iterable of (scale, weight), arrays (n, m)
        One a detector, made when it is its turn.
    """
    low = min(float(one.wave.min()) + one.shift for one in all_fibres) - _EDGE
    high = max(float(one.wave.max()) + one.shift for one in all_fibres) + _EDGE
    matrix, rhs = empty_system(int((high - low) / knots) + 4)
    for one, (scale, weight) in zip(all_fibres, parts, strict=True):
        given = (one.shifted, scale, one.excess, one.flux, weight)
        accumulate(*(np.ascontiguousarray(part, np.float64).ravel() for part in given), low, knots, matrix, rhs)
    return solve_common(matrix, rhs, low, knots)


def seen_by(common: CommonSpectrum, one: SkyFibres) -> tuple[FloatArray, FloatArray]:
    """Return what a detector's samples should hold of the common spectrum, and the slope of that with wavelength."""
    seen, slope = evaluate(common, one.shifted, one.excess)
    return np.nan_to_num(seen) * one.expected, slope * one.expected


def own_shift(one: SkyFibres, model: FloatArray, slope: FloatArray, weight: FloatArray) -> float:
    """Return by how much a detector's wavelengths are off (Angstrom): what its residuals ask for along the slope."""
    use = weight > 0
    residual = np.where(use, one.flux - model, 0.0)
    steep = np.where(use & np.isfinite(slope), slope, 0.0)
    power = float((weight * steep**2).sum())
    return float(np.clip((weight * steep * residual).sum() / power, -1.0, 1.0)) if power > 0 else 0.0

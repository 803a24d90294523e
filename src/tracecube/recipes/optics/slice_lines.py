"""Arc lines in slices: which is which, and where each crosses the slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from scipy.ndimage import median_filter

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame
from tracecube.core.slices import SliceTraces
from tracecube.kernels.combine import typical
from tracecube.kernels.gaussian_lines import fit_gaussians

__all__ = ["Guess", "LampLines", "LineSamples", "first_guess", "measure_lines"]

_HALF = 5  # px on either side of a line that its cut holds
_WIDTH = 0.9  # px, sigma of a line, first guess
_BINS = 5  # places along a slice at which a line's position is kept
_INSIDE = 2.5  # px from the edges of a slice that are left out
_SCALES = np.linspace(0.98, 1.02, 21)  # of the nominal dispersion
_CHANCE = 0.5  # px of scatter; lines that are there by chance scatter by half of the window of 2 px and more
_PASSES = ((10.0, 1), (6.0, 2), (6.0, 2), (6.0, 3), (6.0, 3), (5.0, 4), (4.0, 4), (3.0, 4), (2.0, 4))
"""Window (px) and order of each look: more than once alike, for the lines beyond the last one that was found."""

_UNLIKE = 6.0  # px by which the dispersion of a slice may differ from that of the others
_TRIED = 5  # places of a slice that was not recognised at first
_CENTRAL = 10  # columns on either side of the middle that make the spectrum in which lines are identified


@dataclass(frozen=True)
class LampLines:
    """Lines of one lamp.

    Parameters
    ----------
    lamp : int
    wave : array (m,), Angstrom
    strength : array (m,)
    usable : bool array (m,)
        Lines alone enough to measure; the others help to tell which is which.
    """

    lamp: int
    wave: FloatArray
    strength: FloatArray
    usable: BoolArray


Guess = Callable[[FloatArray], FloatArray]
"""Nominal wavelength (Angstrom) at u, -1 to 1 along the detector."""


@dataclass(frozen=True)
class LineSamples:
    """Measured places of lines: one row a line, slice and bin along the slice.

    Parameters
    ----------
    slice, lamp, line, bin : int array (n,)
        Row of the slice; lamp; row of the line in its lamp's list; which part of the slice.
    along, across : array (n,), px
        Place along dispersion, distance from the centre of the slice.
    error : array (n,), px
    sigma : array (n,), px
        Width of the line.
    """

    slice: IntArray
    lamp: IntArray
    line: IntArray
    bin: IntArray
    along: FloatArray
    across: FloatArray
    error: FloatArray
    sigma: FloatArray


def first_guess(
    frames: Mapping[int, Frame], traces: SliceTraces, lines: Sequence[LampLines], law: Guess, *, shift: float
) -> FloatArray:
    """Tell where each slice's spectrum lies: wavelength along its middle as a Legendre series in u (n, 5).

    The spectra of all lamps are compared with their lists at every shift and at some scales of the nominal law;
    the best one is refined with the lines that stand where they are expected.

    Parameters
    ----------
    frames : mapping of int to Frame
        By lamp.
    traces : SliceTraces
    lines : sequence of LampLines
    law : Guess
    shift : float, Angstrom
        Largest departure from the nominal law.

    Raises
    ------
    NoConvergence
        In more than a tenth of the slices no shift explains the lines.
    """
    spectra = {lamp: _central(frame, traces) for lamp, frame in frames.items()}
    known = [one for one in lines if one.lamp in spectra]
    rows = next(iter(spectra.values())).shape[1]
    u = np.linspace(-1.0, 1.0, rows)
    step = float(np.median(np.diff(law(u))))
    models = {(one.lamp, k): _expected(one, law, scale, rows) for one in known for k, scale in enumerate(_SCALES)}
    found = np.full((len(traces.aperture), 5), np.nan)
    for row in range(len(traces.aperture)):
        scale, pixels = _best(row, spectra, models, int(shift / step))
        start = legendre.legfit(u, _scaled(law, u - 2.0 * pixels / (rows - 1), scale), 4)
        found[row] = _refine(start, {lamp: one[row] for lamp, one in spectra.items()}, known)
    found = _as_the_others(found, spectra, known)
    lost = ~np.isfinite(found[:, 0])
    if lost.mean() > 0.1:
        raise NoConvergence(
            f"in {lost.sum()} of {lost.size} slices the arc lines are not recognised",
            hint="are these the lamps their headers say? Look at the arc frames",
        )
    return found


def _as_the_others(found: FloatArray, spectra: Mapping[int, FloatArray], lines: Sequence[LampLines]) -> FloatArray:
    """Look again for slices that were not recognised, or whose dispersion is unlike that of most: with the typical one.

    Where a lamp is missing, the pattern of the others can fit a slice in a wrong place too; all slices are dispersed
    alike but for where their spectra lie. What is still unlike is not recognised (NaN).
    """
    rows = next(iter(spectra.values())).shape[1]
    u = np.linspace(-1.0, 1.0, 9)
    shape = legendre.legval(u, (found * np.r_[0.0, np.ones(found.shape[1] - 1)]).T)  # without their zero
    known = np.isfinite(shape).all(axis=1)
    if known.mean() < 0.5:
        return found
    typical = np.median(shape[known], axis=0)
    off = np.max(np.abs(shape - typical), axis=1)
    speed = float(typical[-1] - typical[0]) / (rows - 1)  # Angstrom / px
    limit = max(_UNLIKE * speed, 6.0 * float(np.median(off[known])))
    curve = legendre.legfit(u, typical, found.shape[1] - 1)
    zeros = legendre.legval(0.0, found[known & (off < limit)].T)
    reach = float(np.ptp(zeros)) + 20.0 * speed
    middle = 0.5 * float(zeros.max() + zeros.min())
    again = found.copy()
    for row in np.flatnonzero(~(off < limit)):
        own = {lamp: one[row] for lamp, one in spectra.items()}
        again[row] = np.nan
        for start in _places(own, lines, curve, (middle - reach, middle + reach), speed):
            tried = _refine(start, own, lines)
            if np.max(np.abs(legendre.legval(u, tried * np.r_[0.0, np.ones(tried.size - 1)]) - typical)) < limit:
                again[row] = tried
                break
    return again


def _places(
    spectra: Mapping[int, FloatArray],
    lines: Sequence[LampLines],
    curve: FloatArray,
    zeros: tuple[float, float],
    speed: float,
) -> list[FloatArray]:
    """Return the zeros of a given dispersion at which a slice's spectra hold most light of the lines, best first."""
    rows = next(iter(spectra.values())).size
    fine = np.linspace(-1.0, 1.0, 2 * rows)
    base = legendre.legval(fine, curve) - legendre.legval(0.0, curve)
    tried = np.arange(*zeros, speed)
    light = np.zeros(tried.size)
    for one in lines:
        near = np.maximum.reduce([np.roll(spectra[one.lamp], k) for k in (-1, 0, 1)])
        norm = float(np.sqrt(np.sum(near**2))) + 1e-30
        for k, zero in enumerate(tried):
            at = (np.interp(one.wave, base + zero, fine, left=2.0, right=2.0) + 1.0) * 0.5 * (rows - 1)
            seen = at < rows - 1
            light[k] += float(np.sum(np.sqrt(one.strength[seen]) * near[np.rint(at[seen]).astype(int)])) / norm
    best = np.argsort(-light, kind="stable")[:_TRIED]
    return [np.r_[curve[0] + tried[k] - legendre.legval(0.0, curve), curve[1:]] for k in best]


def _central(frame: Frame, traces: SliceTraces) -> FloatArray:
    """Return the spectrum along the middle of each slice (n, y), without its slow part, large values drawn in."""
    good = frame.flags & NOT_USABLE == 0
    rows = np.arange(frame.data.shape[0])[:, None]
    spectra = []
    for centre in traces.centre:
        x = np.clip(np.rint(centre).astype(int)[:, None] + np.arange(-_CENTRAL, _CENTRAL + 1), 0, good.shape[1] - 1)
        spectrum = np.nan_to_num(typical(frame.data[rows, x].T, good[rows, x].T)).astype(np.float64)
        spectrum -= median_filter(spectrum, 101, mode="nearest")
        noise = 1.4826 * float(np.median(np.abs(spectrum))) + 1e-3
        spectra.append(np.sqrt(np.maximum(spectrum - 3.0 * noise, 0.0)))
    return np.array(spectra)


def _scaled(law: Guess, u: FloatArray, scale: float) -> FloatArray:
    """Return the nominal law at another dispersion, about its middle."""
    middle = law(np.zeros(1))[0]
    return np.asarray(middle + scale * (law(u) - middle))


def _expected(lines: LampLines, law: Guess, scale: float, rows: int) -> FloatArray:
    """Return the spectrum that a lamp would have under the nominal law (y,)."""
    fine = np.linspace(-1.3, 1.3, 2 * rows)
    at = (np.interp(lines.wave, _scaled(law, fine, scale), fine) + 1.0) * 0.5 * (rows - 1)
    y = np.arange(rows)
    model = np.zeros(rows)
    for place, strength in zip(at, lines.strength, strict=True):
        low, high = max(int(place) - 6, 0), min(int(place) + 7, rows)
        model[low:high] += np.sqrt(strength) * np.exp(-0.5 * ((y[low:high] - place) / 2.0) ** 2)
    return model


def _best(
    row: int, spectra: Mapping[int, FloatArray], models: Mapping[tuple[int, int], FloatArray], most: int
) -> tuple[float, int]:
    """Return scale and shift (px) at which all lamps agree best with their lists."""
    best = (-np.inf, 1.0, 0)
    size = 2 * next(iter(spectra.values())).shape[1]
    transforms = {lamp: np.fft.rfft(spectrum[row], size) for lamp, spectrum in spectra.items()}
    norms = {lamp: np.sqrt(np.sum(spectrum[row] ** 2)) + 1e-30 for lamp, spectrum in spectra.items()}
    for k, scale in enumerate(_SCALES):
        total = np.zeros(size)
        for lamp, transform in transforms.items():
            if (lamp, k) in models:
                model = models[lamp, k]
                norm = norms[lamp] * (np.sqrt(np.sum(model**2)) + 1e-30)
                total += np.fft.irfft(transform * np.conj(np.fft.rfft(model, size)), size) / norm
        lags = np.concatenate([total[-most:], total[: most + 1]])
        peak = int(np.argmax(lags))
        if lags[peak] > best[0]:
            best = (float(lags[peak]), float(scale), peak - most)
    return best[1], best[2]


def _refine(start: FloatArray, spectra: Mapping[int, FloatArray], lines: Sequence[LampLines]) -> FloatArray:
    """Draw the guess to the lines that stand near where it has them; NaN if too few do."""
    rows = next(iter(spectra.values())).size
    fine = np.linspace(-1.0, 1.0, 2 * rows)
    coefficients = start
    for window, order in _PASSES:
        curve = legendre.legval(fine, coefficients)
        place, wave = [], []
        for one in lines:
            alone = one.usable & _brightest_within(one, 2.0 * window * float(curve[-1] - curve[0]) / (rows - 1))
            for line in one.wave[alone & (one.wave > curve[0]) & (one.wave < curve[-1])]:
                expected = (np.interp(line, curve, fine) + 1.0) * 0.5 * (rows - 1)
                at = _peak(spectra[one.lamp], expected, window)
                if at is not None:
                    place.append(2.0 * at / (rows - 1) - 1.0)
                    wave.append(line)
        if len(wave) < order + 4:
            return np.full(start.size, np.nan)
        at_u, left = np.array(place), np.array(wave) - legendre.legval(np.array(place), coefficients)
        kept = np.ones(left.size, bool)
        for _ in range(5):
            change = legendre.legfit(at_u[kept], left[kept], order)
            rest = left - legendre.legval(at_u, change)
            kept = np.abs(rest) < max(4.0 * 1.4826 * float(np.median(np.abs(rest[kept]))), 0.1)
            if kept.sum() < order + 4:
                return np.full(start.size, np.nan)
        coefficients = coefficients + np.pad(change, (0, start.size - change.size))
    speed = float(np.median(np.diff(legendre.legval(fine, coefficients)))) * 2.0  # Angstrom / px
    spread = 1.4826 * float(np.median(np.abs(rest[kept])))
    return coefficients if spread < _CHANCE * speed else np.full(start.size, np.nan)


def _brightest_within(lines: LampLines, reach: float) -> BoolArray:
    """Return which lines of a lamp have none that is brighter within a reach (Angstrom), so that they are the peak."""
    near = np.abs(lines.wave[:, None] - lines.wave[None, :]) < reach
    return np.asarray(lines.strength >= np.where(near, lines.strength[None, :], 0.0).max(axis=1))


def _peak(spectrum: FloatArray, expected: float, window: float) -> float | None:
    """Return the centre of mass about the highest sample near a place, None where there is no light."""
    low, high = int(np.floor(expected - window)), int(np.ceil(expected + window)) + 1
    if low < 3 or high > spectrum.size - 3:
        return None
    top = low + int(np.argmax(spectrum[low:high]))
    near = spectrum[top - 2 : top + 3] ** 2  # the square root is taken back
    if near[2] <= 0.0:
        return None
    return top + float(np.sum(near * np.arange(-2, 3)) / np.sum(near))


def measure_lines(
    frame: Frame, exposures: int, traces: SliceTraces, lines: LampLines, guess: FloatArray, *, least: float
) -> LineSamples:
    """Measure where the lines of one lamp cross each slice.

    A Gaussian in every column, a parabola through the columns, and of that what `_BINS` parts of the slice say each.

    Parameters
    ----------
    frame : Frame
        Mean exposure of the lamp, electron; its variance is that of pixels without light.
    exposures : int
        How many it is the mean of: the photons that were counted are as many times those of the mean.
    traces : SliceTraces
    lines : LampLines
    guess : array (n, k)
        Legendre series of the wavelength along the middle of each slice.
    least : float
        Signal-to-noise of the typical column below which a line is left out.
    """
    rows = frame.data.shape[0]
    fine = np.linspace(-1.0, 1.0, 2 * rows)
    good = frame.flags & NOT_USABLE == 0
    made: list[list[float]] = []
    for row in range(len(traces.aperture)):
        if not np.isfinite(guess[row]).all():
            continue
        curve = legendre.legval(fine, guess[row])
        for line in np.flatnonzero(lines.usable & (lines.wave > curve[0]) & (lines.wave < curve[-1])):
            at = (np.interp(lines.wave[line], curve, fine) + 1.0) * 0.5 * (rows - 1)
            parts = _one_line(frame, exposures, good, traces, row, at, least)
            made.extend([float(row), float(lines.lamp), float(line), *part] for part in parts)
    table = np.array(made).reshape(-1, 8)
    index = table[:, :4].astype(np.int32)
    return LineSamples(index[:, 0], index[:, 1], index[:, 2], index[:, 3], *table[:, 4:].T)


def _one_line(  # noqa: PLR0913, PLR0917 - what a line is measured in
    frame: Frame, exposures: int, good: BoolArray, traces: SliceTraces, row: int, at: float, least: float
) -> list[list[float]]:
    """Return bin, place along, distance across, error and width in the parts of a slice."""
    y0 = int(np.rint(at))
    if y0 < 2 * _HALF or y0 >= frame.data.shape[0] - 2 * _HALF:
        return []
    centre = traces.centre[row, y0]
    x = np.arange(int(np.ceil(traces.left[row, y0] + _INSIDE)), int(np.floor(traces.right[row, y0] - _INSIDE)) + 1)
    x = x[(x >= 0) & (x < frame.data.shape[1])]
    half = 0.5 * (traces.right[row, y0] - traces.left[row, y0])
    t = (x - centre) / half
    middle = np.full(x.size, at)
    for _ in range(2):
        start = np.rint(middle).astype(int) - _HALF
        index = start[:, None] + np.arange(2 * _HALF + 1)
        cut = (np.clip(index, 0, frame.data.shape[0] - 1), x[:, None])
        fit = fit_gaussians(
            frame.data[cut].astype(np.float64),
            (frame.variance[cut] + np.maximum(frame.data[cut], 0.0) / exposures).astype(np.float64),
            good[cut],
            middle - start,
            np.full(x.size, _WIDTH),
        )
        place, error = fit[:, 0] + start, np.maximum(fit[:, 4], 1e-4)
        kept = np.isfinite(place) & (np.abs(place - middle) < 3.0)
        if kept.sum() < x.size // 2 or float(np.median(fit[kept, 1] / error[kept])) < least:
            return []
        for _ in range(4):
            bend = np.polynomial.polynomial.polyfit(t[kept], place[kept], 2, w=1.0 / error[kept])
            left = place - np.polynomial.polynomial.polyval(t, bend)
            spread = max(1.4826 * float(np.median(np.abs(left[kept] / error[kept]))), 1.0)
            kept = np.isfinite(left) & (np.abs(np.nan_to_num(left, nan=np.inf)) < 4.0 * spread * error)
            if kept.sum() < x.size // 2:
                return []
        middle = np.polynomial.polynomial.polyval(t, bend)
    parts = []
    for number in range(_BINS):
        own = kept & (t >= -1.0 + 2.0 * number / _BINS) & (t < -1.0 + 2.0 * (number + 1) / _BINS)
        if own.sum() < 4:
            continue
        weight = 1.0 / error[own] ** 2
        across = float(np.average(t[own], weights=weight))
        along = np.polynomial.polynomial.polyval(across, bend) + np.average(left[own], weights=weight)
        parts.append([number, along, across * half, spread / np.sqrt(weight.sum()), float(np.median(fit[own, 1]))])
    return parts

"""Arc lamps: recognise the lines once, on the mean of all apertures, and measure their strengths.

All apertures see the same lamp. Aligned on each other they give one finely sampled mean spectrum,
in which the lines are recognised with the nominal dispersion law; nothing is left for a single
aperture to get wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray, IntArray
from tracecube.kernels.lines import line_image
from tracecube.kernels.robust import known_median
from tracecube.kernels.scatter import spline_basis

__all__ = ["ArcSpectra", "DispersionGuess", "LineList", "align", "line_strengths", "mean_arcs", "recognise"]

# Fine steps of the mean spectrum, px.
FINE = 0.25
# Offsets between apertures that are searched, px: twice the error of a start read off a dome flat; most
# of a spectrum where one is cut off by the detector's edge, and starts there whatever its light.
SEARCH, SEARCH_CUT = 40, 240
# A spectrum shorter than this share of the typical one is cut off.
CUT = 0.97
# Spline pieces of a lamp's continuum along a spectrum.
CONTINUUM_PIECES = 10
# Apertures from which the strengths of lines are taken: hundreds of sampling phases.
STRENGTH_ROWS = 300
LEAST_SCALE = 0.5
# What the model of a lamp may miss, as a share of it: keeps bright lines from deciding over blends.
MODEL_ERROR = 0.01


@dataclass(frozen=True)
class LineList:
    """Lines of the lamps: arrays (k,); ``seed`` is a first guess of relative strength, 0 for none."""

    lamp: NDArray[np.str_]
    wave: FloatArray
    seed: FloatArray

    def of(self, lamps: tuple[str, ...]) -> LineList:
        """Keep the lines of some lamps."""
        keep = np.isin(self.lamp, lamps)
        return LineList(self.lamp[keep], self.wave[keep], self.seed[keep])


@dataclass(frozen=True)
class DispersionGuess:
    """Nominal dispersion law: detector pixel, from any zero point, at rising wavelength."""

    wave: FloatArray
    pixel: FloatArray


@dataclass(frozen=True)
class ArcSpectra:
    """Spectra of one lamp on detector columns.

    Parameters
    ----------
    flux, variance : array (n, m), electron; NaN where not measured
    """

    flux: FloatArray
    variance: FloatArray


def align(arcs: Mapping[str, ArcSpectra], start: IntArray) -> FloatArray:
    """Offsets (n,) in px that bring all apertures on one scale: z = pixel - offset.

    Every aperture is cross-correlated with the brightest, then twice with the mean of all; lamps
    are added as correlations, so none dominates. Flux is compressed by a square root.
    """
    compressed = [np.sqrt(np.clip(np.nan_to_num(arc.flux), 0, None)) for arc in arcs.values()]
    n, m = compressed[0].shape
    size = 2 ** int(np.ceil(np.log2(m + 2 * SEARCH_CUT)))
    lit = np.isfinite(next(iter(arcs.values())).flux)
    level = [c.sum(axis=1) / np.maximum(lit.sum(axis=1), 1) for c in compressed]
    spectra = [
        np.fft.rfft(np.where(lit, c - a[:, None], 0.0), size, axis=1) for c, a in zip(compressed, level, strict=True)
    ]
    length = lit.sum(axis=1)
    reach = np.where(length < CUT * np.median(length), SEARCH_CUT, SEARCH)
    brightest = int(np.argsort(sum(c.sum(axis=1) for c in compressed))[int(0.9 * n)])
    reference = [s[brightest] for s in spectra]
    for _ in range(3):
        shift = _correlation_peak(spectra, reference, size, reach)
        phase = np.exp(2j * np.pi * np.fft.rfftfreq(size) * shift[:, None])
        reference = [np.median((s * phase).real, axis=0) + 1j * np.median((s * phase).imag, axis=0) for s in spectra]
    return np.asarray(start + shift, np.float64)


def _correlation_peak(
    spectra: list[NDArray[np.complex128]], reference: list[NDArray[np.complex128]], size: int, reach: IntArray
) -> FloatArray:
    """Lag (n,) of the summed, normalised correlations within ``reach``; parabola through the peak."""
    total = np.zeros((spectra[0].shape[0], size))
    for s, r in zip(spectra, reference, strict=True):
        norm = np.sqrt((np.abs(s) ** 2).sum(axis=1) * (np.abs(r) ** 2).sum())
        total += np.fft.irfft(s * np.conj(r), size, axis=1) / np.maximum(norm, 1e-30)[:, None]
    lags = np.arange(-SEARCH_CUT, SEARCH_CUT + 1)
    window = total[:, lags]
    allowed = np.where(np.abs(lags) <= reach[:, None], window, -np.inf)
    peak = np.clip(np.argmax(allowed, axis=1), 1, lags.size - 2)
    rows = np.arange(peak.size)
    low, mid, high = window[rows, peak - 1], window[rows, peak], window[rows, peak + 1]
    bend = low - 2 * mid + high
    return np.asarray(lags[peak] + np.where(bend < 0, 0.5 * (low - high) / np.where(bend < 0, bend, -1.0), 0.0))


def mean_arcs(
    arcs: Mapping[str, ArcSpectra], start: IntArray, offset: FloatArray
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Robust mean spectrum of every lamp on the fine common scale z.

    Returns
    -------
    z : array (k,), px
    mean : dict of lamp to array (k,), electron a pixel
    """
    n, m = next(iter(arcs.values())).flux.shape
    position = start[:, None] + np.arange(m) - offset[:, None]
    low, high = np.percentile(position[:, 0], 50), np.percentile(position[:, -1], 50)
    z = np.arange(low, high, FINE)
    mean: dict[str, FloatArray] = {}
    for lamp, arc in arcs.items():
        rows = np.stack(
            [np.interp(z, p, f, left=np.nan, right=np.nan) for p, f in zip(position, arc.flux, strict=True)]
        )
        mean[lamp] = np.nan_to_num(known_median(rows, axis=0)) if n else np.zeros(z.size)
    return z, mean


def recognise(z: FloatArray, mean: Mapping[str, FloatArray], lines: LineList, guess: DispersionGuess) -> FloatArray:
    """Find shift, stretch and bow of the nominal law in the mean spectrum.

    Returns
    -------
    position : array (k,), px
        Place on the z scale of every line of the list.

    Raises
    ------
    NoConvergence
        The best match is no better than chance.
    """
    nominal = np.interp(lines.wave, guess.wave, guess.pixel)
    middle, half = 0.5 * (guess.pixel.min() + guess.pixel.max()), 0.5 * np.ptp(guess.pixel)
    t = (nominal - middle) / half
    best, found = -1.0, nominal
    for step, span in ((2.0, (30.0, 8.0, 6.0)), (1.0, (2.0, 2.0, 2.0)), (0.5, (1.0, 1.0, 1.0))):
        base = found if best > 0 else nominal + 0.5 * (z[0] + z[-1]) - middle
        for shift in np.arange(-span[0], span[0] + step / 2, step):
            for stretch in np.arange(-span[1], span[1] + step / 2, step):
                for bow in np.arange(-span[2], span[2] + step / 2, step):
                    trial = base + shift + stretch * t + bow * (2 * t**2 - 1)
                    score = _match(z, mean, lines, trial)
                    if score > best:
                        best, found = score, trial
    if best < LEAST_MATCH:
        raise NoConvergence(
            f"arc lines: the nominal dispersion law matches the lamps with correlation {best:.2f}, "
            f"{LEAST_MATCH} is needed",
            hint="check that the arc frames are labelled with the right lamps and are not saturated",
        )
    return found


# Correlation of compressed spectra that tells a match from chance; wrong lamps give 0.2 to 0.4.
LEAST_MATCH = 0.55
# Width of the lines while they are only recognised, px.
RECOGNITION_SIGMA = 1.5


def _match(z: FloatArray, mean: Mapping[str, FloatArray], lines: LineList, position: FloatArray) -> float:
    """Mean correlation of the lamps with their listed lines, both compressed."""
    total = 0.0
    for lamp, spectrum in mean.items():
        mine = (lines.lamp == lamp) & (lines.seed > 0)
        d = (z[:, None] - position[mine]) / RECOGNITION_SIGMA
        expected = np.sqrt(np.exp(-0.5 * d**2) @ lines.seed[mine])
        seen = np.sqrt(np.clip(spectrum, 0, None))
        total += float(np.corrcoef(expected, seen)[0, 1])
    return total / len(mean)


def line_strengths(
    arc: ArcSpectra, start: IntArray, position: FloatArray, sigma: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Strengths of all lines and the continuum of one lamp, common to all apertures, and their scales.

    Parameters
    ----------
    arc : ArcSpectra (n, m)
    start : int array (n,)
    position, sigma : array (n, k), px
        Where the lamp's lines fall in each aperture, and their widths.

    Returns
    -------
    strength : array (k,), electron
        Not negative; blends are shared out by the shapes of thousands of sampling phases.
    continuum : array (m,), electron a pixel
        As a function of sample number.
    scale : array (n,)
        Brightness of the lamp in each aperture.
    """
    n, m = arc.flux.shape
    good = np.isfinite(arc.flux) & (arc.variance > 0)
    flux = np.where(good, arc.flux, 0.0)
    scale = np.clip(flux.sum(axis=1), 0.0, None)
    bright = np.nonzero(scale > LEAST_SCALE * np.median(scale))[0]
    rows = bright[:: max(1, bright.size // STRENGTH_ROWS)]
    scale /= np.median(scale[rows])
    model = np.zeros((n, m))
    for _ in range(2):
        variance = arc.variance + (MODEL_ERROR * model) ** 2
        weight = np.where(good, 1.0 / np.where(good, variance, 1.0), 0.0)
        strength, continuum = _solve_strengths(flux, weight, start, (position, sigma), scale, rows)
        shape = line_image(position, sigma, np.broadcast_to(strength, position.shape), start, m) + continuum
        power = (weight * shape * shape).sum(axis=1)
        scale = np.clip((weight * shape * flux).sum(axis=1) / np.maximum(power, 1e-30), 0.0, None)
        model = scale[:, None] * shape
    return strength, continuum, scale


def _solve_strengths(
    flux: FloatArray,
    weight: FloatArray,
    start: IntArray,
    lines: tuple[FloatArray, FloatArray],
    scale: FloatArray,
    rows: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Least squares for strengths (not negative) and continuum over some apertures."""
    (m, k), smooth = (flux.shape[1], lines[0].shape[1]), spline_basis(flux.shape[1], CONTINUUM_PIECES)
    normal, rhs = np.zeros((k + smooth.shape[1],) * 2), np.zeros(k + smooth.shape[1])
    for i in rows:
        design = scale[i] * np.vstack([_single_lines(lines[0][i], lines[1][i], int(start[i]), m), smooth.T])
        normal += (design * weight[i]) @ design.T
        rhs += (design * weight[i]) @ flux[i]
    norm = np.sqrt(np.maximum(np.diag(normal), 1e-30))
    root = np.linalg.cholesky(normal / np.outer(norm, norm) + 1e-9 * np.eye(norm.size)).T
    low = np.concatenate([np.zeros(k), np.full(smooth.shape[1], -np.inf)])
    x = lsq_linear(root, np.linalg.solve(root.T, rhs / norm), bounds=(low, np.inf)).x / norm
    return x[:k], smooth @ x[k:]


def _single_lines(position: FloatArray, sigma: FloatArray, start: int, m: int) -> FloatArray:
    """Each line of one aperture by itself: array (k, m)."""
    ones = np.ones((position.size, 1))
    image = line_image(position[:, None], sigma[:, None], ones, np.full(position.size, start, np.int64), m)
    return np.asarray(image, np.float64)

"""Gain of every output from pairs of exposures of one integration time: photon transfer (Janesick 2001).

Single pixels tell their gain to half of it at best, from a few pairs; the pixels of an output share its amplifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tracecube.core.detector import Detector
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.pixels import GainMap, Linearity
from tracecube.kernels.combine import clipped_moments
from tracecube.recipes.detector.array import CleanExposure

__all__ = ["OutputGains", "output_gains"]

_FEWEST = 100  # pixels of an output that tell a spread


@dataclass(frozen=True)
class OutputGains:
    """Gains of the outputs over the one assumed, arrays (n_output,), NaN where no pair tells.

    Parameters
    ----------
    gain, error : array (n_output,)
    chi2 : array (n_output,)
        Reduced, of the pairs about it; NaN for a single pair.
    """

    gain: FloatArray
    error: FloatArray
    chi2: FloatArray

    def mean(self) -> tuple[float, float]:
        """Weighted mean of the outputs and its error; NaN where none is known."""
        known = np.isfinite(self.gain)
        if not known.any():
            return float("nan"), float("nan")
        weight = self.error[known] ** -2
        return float(weight @ self.gain[known] / weight.sum()), float(weight.sum() ** -0.5)

    def spread(self) -> float:
        """Standard deviation of the outputs' gains; NaN where none is known."""
        known = self.gain[np.isfinite(self.gain)]
        return float(known.std()) if known.size else float("nan")

    def drawn(self, detector: Detector, assumed: float, bad: BoolArray, flag: int) -> GainMap:
        """Draw them on the detector, electron / adu, with flagged pixels."""
        shape = bad.shape
        data, variance, chi2 = (np.full(shape, np.nan, np.float32) for _ in range(3))
        for number, amplifier in enumerate(detector.amplifiers):
            amplifier.data.of(data)[:] = self.gain[number] * assumed
            amplifier.data.of(variance)[:] = (self.error[number] * assumed) ** 2
            amplifier.data.of(chi2)[:] = self.chi2[number]
        return GainMap(data, np.where(bad, flag, 0).astype(np.int32), variance, chi2, {"BUNIT": "electron/adu"})


def output_gains(
    ordered: Sequence[CleanExposure],
    lights: Sequence[FloatArray],
    good: BoolArray,
    detector: Detector,
    linearity: Linearity,
) -> OutputGains:
    """Measure the gains.

    Parameters
    ----------
    ordered : sequence of CleanExposure
        By integration time: pairs are neighbours.
    lights : sequence of array (y, x), electron by the assumed gain
        The same, dark subtracted, linearity not corrected.
    good : bool array (y, x)
    detector : Detector
    linearity : Linearity
        What counts fall behind the light by: they fall behind in their noise by twice as much.
    """
    told: list[list[tuple[float, float]]] = [[] for _ in detector.amplifiers]
    for (a, one), (b, other) in pairwise(zip(ordered, lights, strict=True)):
        if a.dit != b.dit or a.count != b.count:
            continue
        first, second = (_straight(light, linearity, a.exposure.gain) for light in (one, other))
        ratio = float(np.median(second[good]) / np.median(first[good]))
        for number, amplifier in enumerate(detector.amplifiers):
            some = amplifier.data.of(good)
            if np.count_nonzero(some) < _FEWEST:
                continue
            x, y = (amplifier.data.of(light)[some] for light in (first, second))
            spread = clipped_moments(x - y / np.float32(ratio))[1]
            photons = spread**2 - a.floor - b.floor / ratio**2
            if photons > 0:
                found = float(np.mean(x) * (1.0 + 1.0 / ratio) / a.count / photons)
                # variance of a variance is 2 / n of its square
                told[number].append((found, found * float(spread**2 * np.sqrt(2.0 / x.size) / photons)))
    return OutputGains(*(np.array(column) for column in zip(*(_together(one) for one in told), strict=True)))


def _straight(light: FloatArray, linearity: Linearity, gain: float) -> FloatArray:
    """Light (electron) as it would be, were the counts linear."""
    factor = np.interp(light / gain, linearity.level, linearity.factor)
    return np.asarray(light * factor, np.float32)


def _together(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Weighted mean of an output's pairs, its error, and their reduced chi-square."""
    if not pairs:
        return float("nan"), float("nan"), float("nan")
    value, error = np.array(pairs).T
    weight = error**-2
    mean = float(weight @ value / weight.sum())
    chi2 = float(weight @ (value - mean) ** 2 / (value.size - 1)) if value.size > 1 else float("nan")
    return mean, float(weight.sum() ** -0.5), chi2

"""Response of every pixel to light of several wavelengths and levels, all exposures fitted at once.

A pixel holds ``offset time + level (response + slope step)``: its charge without the lamp, the light
that its surroundings tell of, and its own response, straight in wavelength. Slopes are small and poorly
measured pixel by pixel; their spread over the detector is well measured, and serves as prior
(empirical Bayes: Efron & Morris 1973, J. Am. Stat. Assoc. 68, 117), so that a noisy slope adds no noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.combine import clipped_moments

__all__ = ["ResponseFit", "fit_responses"]

F4 = NDArray[np.float32]
Mask = NDArray[np.bool_]

_HUBER = 1.345  # noises off beyond which a robust fit trusts less; 95 per cent efficient (Huber 1981)
_ROBUST_ROUNDS = 8  # reweighted least squares loses most of an outlier's pull by then
_SINGULAR = 1e-6  # share of a slope's own weight that must be left beside the response's: below, one wavelength only


@dataclass(frozen=True)
class ResponseFit:
    """The fit at every pixel, arrays (y, x).

    Parameters
    ----------
    offset, response, slope : array
    variance, slope_variance, covariance : array
        Of response and slope, prior included.
    chi2 : array
        Reduced chi-square.
    slope_spread : float
        Standard deviation of the true slopes over the detector; 0 where it cannot be told.
    freedom : float
        Degrees of freedom behind ``chi2``.
    """

    offset: F4
    response: F4
    slope: F4
    variance: F4
    slope_variance: F4
    covariance: F4
    chi2: F4
    slope_spread: float
    freedom: float


def fit_responses(
    signals: Sequence[F4],
    variances: Sequence[F4],
    levels: Sequence[F4],
    steps: Sequence[float],
    *,
    times: Sequence[float] | None = None,
    dark: tuple[F4, F4],
    typical: Mask,
    slope_spread: float | None = None,
    robust: bool = False,
) -> ResponseFit:
    """Fit offset, response and slope of each pixel.

    Parameters
    ----------
    signals, variances : sequence of array (y, x)
        Exposures, electron, and their expected noise; infinite variance leaves a sample out.
    levels : sequence of array (y, x)
        Smooth light of each exposure.
    steps : sequence of float
        Wavelength of each exposure from the reference, any unit.
    times : sequence of float, optional
        Integration of each exposure over that of the dark; 1 if not given.
    dark : (array, array)
        Signal without light and its variance: one more measurement of the offset.
    typical : bool array (y, x)
        Pixels whose slopes tell the spread of slopes.
    slope_spread : float, optional
        That spread where it is known already, of a larger part of the detector for example.
    robust : bool
        Weigh samples down that lie far off (Huber), in further rounds.
    """
    weights = [_inverse(variance) for variance in variances]
    scene = [
        _Exposure(signal, level, np.float32(step), np.float32(time))
        for signal, level, step, time in zip(signals, levels, steps, times or [1.0] * len(signals), strict=True)
    ]
    sums = _sums(scene, weights, dark)
    spread = _slope_spread(sums, typical) if slope_spread is None else slope_spread
    solved = _solved(sums, spread)
    for _ in range(_ROBUST_ROUNDS if robust else 0):
        trusted = [w * _huber(one.left(solved) * np.sqrt(w)) for one, w in zip(scene, weights, strict=True)]
        solved = _solved(_sums(scene, trusted, dark), spread)
    chi2 = (dark[0] - solved[0]) ** 2 * _inverse(dark[1])
    for one, w in zip(scene, weights, strict=True):
        chi2 += one.left(solved) ** 2 * w
    prior = 1.0 / spread**2 if spread > 0 else np.inf
    used = 1.0 - prior * float(np.median(solved[4][typical])) if spread > 0 and typical.any() else 0.0
    freedom = len(signals) + 1 - 2.0 - used
    return ResponseFit(*solved, (chi2 / max(freedom, 1.0)).astype(np.float32), spread, freedom)


def _inverse(variance: F4) -> F4:
    """Weights; 0 for what has no variance."""
    with np.errstate(divide="ignore"):
        return np.where(np.isfinite(variance) & (variance > 0), np.float32(1.0) / variance, np.float32(0.0))


def _huber(pull: F4) -> F4:
    """Weight of a sample that lies so many noises off."""
    return np.asarray(np.minimum(1.0, _HUBER / np.maximum(np.abs(pull), 1e-6)), np.float32)


@dataclass(frozen=True)
class _Exposure:
    """One exposure: signal, light, wavelength and time."""

    signal: F4
    level: F4
    step: np.float32
    time: np.float32

    def left(self, solved: tuple[F4, ...]) -> F4:
        """Return what a solution leaves over."""
        return self.signal - self.time * solved[0] - self.level * (solved[1] + self.step * solved[2])


@dataclass
class _Sums:
    """Normal equations without the offset: s_ij of (response, slope), r_i, and what gives the offset back."""

    oo: F4
    oa: F4
    ob: F4
    o: F4
    aa: F4
    ab: F4
    bb: F4
    a: F4
    b: F4


def _sums(scene: Sequence[_Exposure], weights: Sequence[F4], dark: tuple[F4, F4]) -> _Sums:
    """Add the exposures up."""
    w0 = _inverse(dark[1])
    zero = np.zeros_like(w0)
    s = _Sums(w0, zero.copy(), zero.copy(), w0 * dark[0], *(zero.copy() for _ in range(5)))
    for one, w in zip(scene, weights, strict=True):
        t, wl, wo = one.step, w * one.level, w * one.time
        wll, wls = wl * one.level, wl * one.signal
        s.oo += wo * one.time
        s.oa += wl * one.time
        s.ob += t * one.time * wl
        s.o += wo * one.signal
        s.aa += wll
        s.ab += t * wll
        s.bb += t * t * wll
        s.a += wls
        s.b += t * wls
    inverse = _inverse(s.oo)
    s.aa -= s.oa * s.oa * inverse
    s.ab -= s.oa * s.ob * inverse
    s.bb -= s.ob * s.ob * inverse
    s.a -= s.oa * s.o * inverse
    s.b -= s.ob * s.o * inverse
    return s


def _slope_spread(s: _Sums, typical: Mask) -> float:
    """Spread of the true slopes: that of the measured ones less what noise makes of it."""
    left = (s.bb - s.ab**2 * _inverse(s.aa))[typical]
    measured = left > _SINGULAR * s.bb[typical]
    if measured.sum() < 100:  # too few to tell a spread by
        return 0.0
    left = left[measured]
    slope = (s.b - s.ab * s.a * _inverse(s.aa))[typical][measured] / left
    spread = clipped_moments(slope)[1]
    return float(np.sqrt(max(spread**2 - float(np.median(1.0 / left)), 0.0)))


def _solved(s: _Sums, spread: float) -> tuple[F4, F4, F4, F4, F4, F4]:
    """Solve at each pixel: offset, response, slope, their variances and covariance."""
    if spread > 0:
        bb = s.bb + np.float32(1.0 / spread**2)
        determinant = s.aa * bb - s.ab**2
        inverse = _inverse(determinant)
        response, slope = (bb * s.a - s.ab * s.b) * inverse, (s.aa * s.b - s.ab * s.a) * inverse
        variance, slope_variance, covariance = bb * inverse, s.aa * inverse, -s.ab * inverse
    else:
        inverse = _inverse(s.aa)
        response, variance = s.a * inverse, inverse
        slope, slope_variance, covariance = (np.zeros_like(response) for _ in range(3))
    offset = (s.o - s.oa * response - s.ob * slope) * _inverse(s.oo)
    return offset, response, slope, variance, slope_variance, covariance

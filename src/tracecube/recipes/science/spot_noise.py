"""Noise of satellite spots from the frame itself: the same estimator at other position angles.

Speckles are no white noise, so the variance of the samples tells too little. Between the spots, at
the same radius and along the same tracks, the frame holds the same halo without spots: what the fit
makes of it there is its error (as with detection limits: Mawet et al. 2014, ApJ 792, 97).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracecube.core.spectra import Spectra
from tracecube.recipes.science.spot_fit import Part, Setting, SpotFit, window_equations
from tracecube.recipes.science.spot_windows import NAMES, Window, template, windows

__all__ = ["SpotNoise", "spot_noise"]

F8 = NDArray[np.float64]

# Position angles are tried this far from the spots, in lambda / D, and this far from each other.
AWAY, APART = 6.0, 1.5

# Fewer places than this tell no scatter.
LEAST_SAMPLES = 9


@dataclass(frozen=True)
class SpotNoise:
    """Error of the tracks and of the fluxes.

    Parameters
    ----------
    covariance : array (p, p)
        Of the parameters of the tracks.
    flux_excess : array (n_wave,)
        Variance of one spot's flux beyond that of the samples.
    speckle : float
        Standard deviation of the spot-like light between the spots over the flux of the spots, mean of the channels.
    samples : int
        Number of independent places behind it; 0 where there was no room.
    """

    covariance: F8
    flux_excess: F8
    speckle: float
    samples: int


def spot_noise(
    spectra: Spectra,
    fit: SpotFit,
    window_list: list[Window],
    setting: Setting,
    *,
    reach: float,
    good: NDArray[np.bool_],
) -> SpotNoise:
    """Measure the error of a fit of tracks.

    Parameters
    ----------
    spectra : Spectra
    fit : SpotFit
        Made of ``window_list``.
    reach : float
        Radius of windows, lambda / D.
    good : bool array (n, n_wave)
    """
    mean = _mean_flux(fit, window_list, setting)
    photons = _photons(fit, window_list, setting)
    vectors, formal, fluxes, expected = [], [], [], []
    for turn in _turns(setting):
        turned = replace(setting, pattern=replace(setting.pattern, directions=setting.pattern.directions + turn))
        there = windows(spectra, fit.values, setting.track, turned.pattern, reach=reach, good=good)
        for spot in range(setting.pattern.directions.size):
            own = [w for w in there if w.spot == spot and np.isfinite(mean[w.channel])]
            if len(own) < 0.5 * setting.track.wave.size:
                continue
            sample = _blank(fit, own, turned, (mean, photons))
            vectors.append(sample[0])
            formal.append(sample[1])
            fluxes.append(sample[2])
            expected.append(sample[3])
    excess = np.zeros((7, 7))
    if len(vectors) > LEAST_SAMPLES:
        excess = np.cov(np.array(vectors).T) - np.mean(formal, axis=0)
    covariance = _covariance(fit, window_list, setting, excess, _least_growth(len(vectors)))
    flux_excess, speckle = _flux_excess(np.array(fluxes), np.array(expected), mean)
    return SpotNoise(covariance, flux_excess, speckle, len(vectors))


def _blank(fit: SpotFit, own: list[Window], turned: Setting, spot_light: tuple[F8, F8]) -> tuple[F8, F8, F8, F8]:
    """What the fit makes of a track without spot.

    Returns
    -------
    gradient : array (7,)
        As seen from the track's own direction.
    noise : array (7, 7)
        Its covariance by the variances of the samples.
    flux, flux_noise : array (n_wave,)
    """
    mean, photons = spot_light
    spot, angle = own[0].spot, float(turned.pattern.directions[own[0].spot])
    turner = _turner(angle, spot, turned)
    gradient, noise = np.zeros(turned.pattern.size), np.zeros((turned.pattern.size, turned.pattern.size))
    flux, flux_noise = np.full(mean.size, np.nan), np.full(mean.size, np.nan)
    for window in own:
        amplitude = float(mean[window.channel])
        part = window_equations(
            fit.values,
            window,
            turned,
            model_error=fit.model_error,
            amplitude=amplitude,
            photons=float(photons[window.channel]),
        )
        gradient += part.gradient
        noise += _sample_noise(part, window)
        flux[window.channel] = part.flux
        flux_noise[window.channel] = np.sum(part.solver**2 * window.variance)
    return turner @ gradient, turner @ noise @ turner.T, flux, flux_noise


def _turns(setting: Setting) -> list[float]:
    """Turns of the pattern (radian) that bring no spot near another's place."""
    pattern = setting.pattern
    gap = 2.0 * np.pi / pattern.directions.size
    margin = AWAY / pattern.orders
    count = int((gap - 2.0 * margin) / (APART / pattern.orders)) + 1
    return [float(t) for t in np.linspace(margin, gap - margin, count)] if gap > 2.0 * margin else []


def _mean_flux(fit: SpotFit, window_list: list[Window], setting: Setting) -> F8:
    """Mean flux of the spots in each channel, NaN where none was measured."""
    total, count = np.zeros(setting.track.wave.size), np.zeros(setting.track.wave.size)
    for part, window in zip(fit.parts, window_list, strict=True):
        total[window.channel] += part.flux
        count[window.channel] += 1
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _turner(angle: float, spot: int, setting: Setting) -> F8:
    """Matrix (7, p) that turns x, y to outwards and across, and keeps the spot's own diagonal."""
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.zeros((7, setting.pattern.size))
    for i in (0, 2):
        matrix[i : i + 2, i : i + 2] = [[cosine, sine], [-sine, cosine]]
    matrix[4, 4] = 1.0
    own = len(NAMES) + 2 * int(setting.pattern.diagonals[spot])
    matrix[5, own], matrix[6, own + 1] = 1.0, 1.0
    return matrix


def _sample_noise(part: Part, window: Window) -> F8:
    """Covariance of a gradient by the variances of the samples, array (p, p)."""
    weighted = part.jacobian * part.weight
    return np.asarray((weighted * window.variance) @ weighted.T)


def _photons(fit: SpotFit, window_list: list[Window], setting: Setting) -> F8:
    """Variance of light over light in each channel, from how the variance rises towards the spots.

    Places without spot lack this noise; their weights must be those of the spots all the same.
    """
    top, bottom = np.zeros(setting.track.wave.size), np.zeros(setting.track.wave.size)
    for part, window in zip(fit.parts, window_list, strict=True):
        shape, _ = template(fit.values, window, setting.track, setting.pattern, setting.nodes, area=setting.area)
        light = part.flux * (shape - np.median(shape))
        top[window.channel] += np.sum(light * (window.variance - np.median(window.variance)))
        bottom[window.channel] += np.sum(light**2)
    return np.asarray(np.maximum(top / np.maximum(bottom, 1e-300), 0.0))


def _least_growth(places: int) -> float:
    """Variance over that without halo, below which it is not taken however little the places tell.

    A variance of n places scatters by sqrt(2 / n). To cut it off at 1 would make errors too large on the mean where
    there is no halo's noise (pulls too narrow); twice its scatter below is chance beyond doubt.
    """
    return float(max(1.0 - 2.0 * np.sqrt(2.0 / max(places, 1)), 0.25)) if places > LEAST_SAMPLES else 1.0


def _covariance(fit: SpotFit, window_list: list[Window], setting: Setting, excess: F8, least_growth: float) -> F8:
    """Covariance of the tracks: noise of samples and shape, and what the halo adds to it."""
    formal = np.diag(1.0 / setting.spread**2)
    halo = np.zeros(formal.shape)
    for spot in range(setting.pattern.directions.size):
        own = [p for p, w in zip(fit.parts, window_list, strict=True) if w.spot == spot]
        if not own:
            continue
        turner = _turner(float(setting.pattern.directions[spot]), spot, setting)
        formal = formal + np.sum([p.matrix for p in own], axis=0)
        halo = halo + turner.T @ excess @ turner
    least, whole = (fit.covariance @ m @ fit.covariance for m in (formal, formal + halo))
    growth = np.sqrt(np.maximum(np.diagonal(whole) / np.diagonal(least), least_growth))
    return np.asarray(least * np.outer(growth, growth))


def _flux_excess(fluxes: F8, expected: F8, mean: F8) -> tuple[F8, float]:
    """Variance of spot-like light between the spots beyond that of the samples, and its share of the spots."""
    if fluxes.shape[0] < 4:  # noqa: PLR2004 - no variance of fewer
        return np.zeros(mean.size), float("nan")
    with np.errstate(invalid="ignore"):
        known = np.isfinite(fluxes).sum(axis=0) > 3  # noqa: PLR2004
        scatter = np.where(known, np.nanvar(np.where(known, fluxes, 0.0), axis=0, ddof=1), 0.0)
        excess = np.maximum(scatter - np.where(known, np.nanmean(np.where(known, expected, 0.0), axis=0), 0.0), 0.0)
        share = np.sqrt(scatter[known]) / mean[known]
    return excess, float(np.nanmedian(share)) if share.size else float("nan")

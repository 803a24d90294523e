"""One least-squares fit of the tracks of all satellite spots over all channels.

Flux and local background of each spot in each channel enter linearly and are solved for within its
window; the few numbers of the track are found by Gauss-Newton steps on what remains (variable
projection: Golub & Pereyra 1973, SIAM J. Numer. Anal. 10, 413).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import NoConvergence
from tracecube.recipes.science.spot_windows import NAMES, SpotPattern, Track, Window, spot_place, template

__all__ = ["Setting", "SpotFit", "fit_tracks", "window_equations"]

F8 = NDArray[np.float64]

# Largest steps of one round: half a lenslet, 1 per cent, half a degree.
LIMITS = (5e-3, 5e-3, 5e-3, 5e-3, 0.1), (0.01, 0.01)
# The fit has ended when no parameter moves by more than this share of its error.
SETTLED = 0.02


@dataclass(frozen=True)
class Setting:
    """What a fit of tracks needs besides the windows.

    Parameters
    ----------
    track : Track
    pattern : SpotPattern
    nodes : (array, array, array)
        From `lenslet_nodes`.
    area : float, arcsec**2
        Of a lenslet.
    prior, spread : array (p,)
        Expected values of the tracks (see `NAMES`) and their standard deviations.
    clip : float
        Samples this many sigma off lose weight.
    """

    track: Track
    pattern: SpotPattern
    nodes: tuple[F8, F8, F8]
    area: float
    prior: F8
    spread: F8
    clip: float


@dataclass(frozen=True)
class Part:
    """What one window says.

    Parameters
    ----------
    matrix : array (p, p)
        Normal matrix of the track, flux and background projected out.
    gradient : array (p,)
    flux, flux_variance : float
        Of the spot, electron / Angstrom.
    background : float
        Under the spot, electron / Angstrom a lenslet.
    chi2, count, excess, model2 : float
        Sum of squares and number of samples; squared residual beyond the variance, and squared model,
        summed over the core.
    jacobian : array (p, n)
        Derivatives of the model, flux and background projected out.
    weight : array (n,)
    solver : array (n,)
        Weights that give the flux from the samples.
    """

    matrix: F8
    gradient: F8
    flux: float
    flux_variance: float
    background: float
    chi2: float
    count: int
    excess: float
    model2: float
    jacobian: F8
    weight: F8
    solver: F8


@dataclass(frozen=True)
class SpotFit:
    """Tracks of the spots.

    Parameters
    ----------
    values : array (p,)
        See `NAMES`.
    covariance : array (p, p)
        By the variances of the samples.
    model_error : float
        Relative error of the spot's shape that the residuals ask for.
    parts : list of Part
        One a window.
    chi2 : float
        Reduced.
    """

    values: F8
    covariance: F8
    model_error: float
    parts: list[Part]
    chi2: float


def _each(sizes: tuple[tuple[float, ...], tuple[float, ...]], pattern: SpotPattern) -> F8:
    """One number a parameter: those of `NAMES`, then radius and turn of each diagonal."""
    return np.array([*sizes[0], *(sizes[1] * ((pattern.size - len(NAMES)) // 2))])


def _background(window: Window, place: tuple[float, float], unit: float) -> F8:
    """Columns of the light under a spot: level and slopes, array (3, n)."""
    dx, dy = (window.x - place[0]) / unit, (window.y - place[1]) / unit
    return np.stack([np.ones(dx.size), dx, dy])


def window_equations(
    values: F8, window: Window, setting: Setting, *, model_error: float, amplitude: float | None, photons: float = 0.0
) -> Part:
    """Return the normal equations of one window.

    Parameters
    ----------
    values : array (p,)
    model_error : float
    amplitude : float or None
        Flux of the spot that derivatives and weights expect; None for that of the window itself.
    photons : float
        Variance of light over light, for a spot that the variance of the samples does not hold.
    """
    track, pattern = setting.track, setting.pattern
    wave = track.wave[window.channel : window.channel + 1]
    at_x, at_y = spot_place(values, wave, track, pattern, window.spot)
    unit = float(pattern.resolution(wave)[0])
    shape, slopes = template(values, window, track, pattern, setting.nodes, area=setting.area)
    columns = np.concatenate([shape[None], _background(window, (float(at_x[0]), float(at_y[0])), unit)])
    weight = 1.0 / window.variance
    for _ in range(3):  # weights of the expected light, twice; then outliers lose theirs
        flux, inverse = _linear(columns, weight, window.flux)
        expected = flux[0] if amplitude is None else amplitude
        variance = window.variance + (model_error * expected * shape) ** 2 + photons * expected * shape
        residual = window.flux - flux @ columns
        far = np.abs(residual) / np.sqrt(variance)
        weight = np.where(far > setting.clip, setting.clip / far, 1.0) ** 2 / variance
    flux, inverse = _linear(columns, weight, window.flux)
    residual = window.flux - flux @ columns
    slopes *= flux[0] if amplitude is None else amplitude
    project = inverse @ (columns * weight)
    slopes -= (slopes @ project.T) @ columns
    core = shape > 0.2 * shape.max()
    return Part(
        matrix=(slopes * weight) @ slopes.T,
        gradient=slopes @ (weight * residual),
        flux=float(flux[0]),
        flux_variance=float(inverse[0, 0]),
        background=float(flux[1]),
        chi2=float(np.sum(weight * residual**2)),
        count=max(1, window.x.size - columns.shape[0]),
        excess=float(np.sum((residual**2 - window.variance)[core])),
        model2=float(np.sum((flux[0] * shape[core]) ** 2)),
        jacobian=slopes,
        weight=weight,
        solver=project[0],
    )


def _linear(columns: F8, weight: F8, data: F8) -> tuple[F8, F8]:
    """Weighted least squares: coefficients (c,) and their covariance (c, c)."""
    inverse = np.asarray(np.linalg.inv((columns * weight) @ columns.T), np.float64)
    return inverse @ (columns @ (weight * data)), inverse


def fit_tracks(
    window_list: list[Window], start: F8, setting: Setting, *, rounds: int = 12, name: str = "spectra"
) -> SpotFit:
    """Fit the tracks of all spots together.

    Parameters
    ----------
    window_list : list of Window
    start : array (p,)
        First guess of the values.
    setting : Setting
    rounds : int
        Steps at most.
    name : str
        Of the frame, for messages.

    Raises
    ------
    NoConvergence
        The steps do not become small.
    """
    values, model_error = start.copy(), 0.05
    penalty = np.diag(1.0 / setting.spread**2)
    fit = None
    for _ in range(rounds):
        parts = [window_equations(values, w, setting, model_error=model_error, amplitude=None) for w in window_list]
        matrix = penalty + np.sum([p.matrix for p in parts], axis=0)
        gradient = penalty @ (setting.prior - values) + np.sum([p.gradient for p in parts], axis=0)
        covariance = np.linalg.inv(matrix)
        step = covariance @ gradient
        limits = _each(LIMITS, setting.pattern)
        values = values + np.clip(step, -limits, limits)
        freedom = sum(p.count for p in parts) - values.size
        fit = SpotFit(values, covariance, model_error, parts, sum(p.chi2 for p in parts) / freedom)
        model_error = _model_error(parts)
        if np.all(np.abs(step) < np.maximum(SETTLED * np.sqrt(np.diag(covariance)), 1e-7)):
            return replace(fit, model_error=model_error)
    single = setting.pattern.directions.size == 1
    sought = "star beside its mask" if single else "satellite spots"
    seen = "is the star off the mask, and not saturated?" if single else "are there four spots, and is the star masked?"
    raise NoConvergence(
        f"{name}: the place of the {sought} still moves after {rounds} steps", hint=f"look at the frame: {seen}"
    )


def _model_error(parts: list[Part]) -> float:
    """Relative error of the shape with which residuals in the cores are what they are."""
    excess, model2 = (np.array([getattr(p, key) for p in parts]) for key in ("excess", "model2"))
    return float(np.sqrt(max(0.0, np.sum(excess) / max(np.sum(model2), 1e-300))))

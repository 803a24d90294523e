"""Places of slices on a grid of pinholes that is stepped across them: one fit to all steps of a detector.

Along a slice the images of the pinholes stand at equal distances; across it, light against the place of the mask rises
and falls once a pitch. Place, direction, scale of each slice and width of the images are fitted to all samples at once,
with place and brightness of every step, common to the slices, fitted beside them (see docs/physics/slices.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import BadData, NoConvergence
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import Flag
from tracecube.kernels.robust import known_median

__all__ = ["GridFit", "MaskSamples", "fit_grid"]

_SPOT = 0.17  # of the pitch across slices: sigma of a pinhole's image there, first guess
_SPOT_ALONG = 0.9  # px, sigma along the slice, first guess
_CLIP = 6.0  # errors beyond which a sample is left out
_MODEL = 0.01  # of the light: images of pinholes are not quite Gaussians
_ROUNDS = 20
_DONE = 1e-5  # pitches: steps that move by less have arrived
_SETTLED = 1e-3  # pitches: after the last round they must not move by more, a quarter of the errors asked for
_CHANCE = 2.0  # standard deviations by which scatter must exceed the noise
_HARMONICS = 3
_LEAST = 1.05  # pitches that the steps must cover
_FIELDS = 7  # numbers of a slice: place, pitch, place across, slope, two widths, brightness


@dataclass(frozen=True)
class MaskSamples:
    """What the steps show of one detector.

    Parameters
    ----------
    light, variance : array (k, n, m)
        Of step k, slice n, bin m; NaN where nothing is known.
    place : array (k, n, m), px
        Distance from the centre of the slice.
    width : array (n,), px
    step : array (k,)
        Place of the mask in any unit, growing.
    """

    light: FloatArray
    variance: FloatArray
    place: FloatArray
    width: FloatArray
    step: FloatArray


@dataclass(frozen=True)
class GridFit:
    """The grid of pinholes in every slice.

    Parameters
    ----------
    value : array (n, 7)
        Place (px) of a pinhole's image from the centre of the slice, distance (px) of two of them, place of the mask
        (pitches) at which its row is in the middle of the slice, change of that a px along it, width of images along
        (px) and across (pitches), brightness. NaN where nothing could be fitted.
    covariance : array (n, 7, 7)
    chi2 : array (n,)
        A degree of freedom; the covariance includes it.
    dq : int32 array (n,)
    step : array (k,), pitches
        Place of the mask in each exposure, 0 in the mean.
    brightness : array (k,)
        1 in the mean.
    """

    value: FloatArray
    covariance: FloatArray
    chi2: FloatArray
    dq: IntArray
    step: FloatArray
    brightness: FloatArray


def fit_grid(samples: MaskSamples, pitch: FloatArray) -> GridFit:
    """Fit the grid to all steps.

    Parameters
    ----------
    samples : MaskSamples
    pitch : array (n,), px
        Distance of pinholes along each slice, good to a few per cent.

    Raises
    ------
    BadData
        The steps cover less than one distance of pinholes.
    NoConvergence
        In more than half of the slices no pinhole is seen, or the steps of the mask do not settle.
    """
    total = np.nansum(samples.light, axis=2)
    period = _period(samples.step, total)
    step = (samples.step - samples.step.mean()) / period
    if np.ptp(step) < _LEAST:
        raise BadData(
            f"the mask moved by {np.ptp(step):.2f} of the distance of its pinholes, {_LEAST} are needed",
            hint="take more steps of the mask",
        )
    brightness = np.ones(step.size)
    value = np.stack([_start(samples, row, pitch[row], step, total[:, row]) for row in range(pitch.size)])
    if np.isfinite(value[:, 0]).mean() < 0.5:
        raise NoConvergence("pinholes are seen in few slices", hint="look at the exposures of the mask")
    covariance, chi2 = np.full((*value.shape, _FIELDS), np.nan), np.full(pitch.size, np.nan)
    unsure = (np.zeros((step.size, 1)),) * 2
    for _ in range(_ROUNDS):
        for row in np.flatnonzero(np.isfinite(value[:, 0])):
            value[row], covariance[row], chi2[row] = _slice(samples, int(row), value[row], step, brightness, unsure)
        before = step
        step, brightness = _steps(samples, value, step, brightness)
        step, unsure_place = _even(step, step, samples.step)
        brightness, unsure_light = _even(brightness, step, samples.step)
        unsure = unsure_place, unsure_light
        value[:, 2] -= step.mean()  # where all steps have moved together, the slices have
        step = step - step.mean()
        value[:, 6] *= brightness.mean()
        brightness = brightness / brightness.mean()
        moved = float(np.abs(step - before).max())
        if moved < _DONE:
            break
    if not moved < _SETTLED:
        raise NoConvergence(
            f"after {_ROUNDS} rounds steps of the mask still move by {moved:.1e} of the distance of its pinholes",
            hint="did the mask move evenly, and was no exposure taken twice?",
        )
    dq = np.where(np.isfinite(value[:, 0]), 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    return GridFit(value, covariance, chi2, dq, step, brightness)


def _period(step: FloatArray, light: FloatArray) -> float:
    """Return the distance of pinholes in the unit of the steps: after it, the light of all slices comes again."""
    reach = float(np.ptp(step))
    known = light.std(axis=0) > 0
    curves = light[:, known] / light[:, known].mean(axis=0)
    trials = reach / np.arange(0.6, 8.0, 0.02)
    left = np.empty(trials.size)
    for i, trial in enumerate(trials):
        phase = 2.0 * np.pi * np.outer(step / trial, np.arange(1, _HARMONICS + 1))
        design = np.concatenate([np.ones((step.size, 1)), np.cos(phase), np.sin(phase)], axis=1)
        left[i] = float(np.sum((curves - design @ np.linalg.lstsq(design, curves, rcond=None)[0]) ** 2))
    # of a multiple of the period as many harmonics hold fewer of the light's own: the period leaves least
    return float(trials[np.argmin(left)])


def _start(samples: MaskSamples, row: int, pitch: float, step: FloatArray, light: FloatArray) -> FloatArray:
    """Return a first guess of one slice's numbers; NaN without light."""
    along = np.nansum(samples.light[:, row], axis=0)
    place = known_median(samples.place[:, row], axis=0)
    known = np.isfinite(place)
    if not known.any() or not along.max() > 0:
        return np.full(_FIELDS, np.nan)
    trial = np.arange(-0.5, 0.5, 0.02) * pitch
    shape = _comb(place[known][None, :], trial[:, None], np.full((trial.size, 1), pitch), _SPOT_ALONG)[0]
    here = float(trial[np.argmax(shape @ along[known])])
    across = np.arange(0.0, 1.0, 0.01)
    rows = _comb(step[None, :], across[:, None], np.ones((across.size, 1)), _SPOT)[0]
    fit = rows @ (light - light.mean()) / np.sqrt(np.sum((rows - rows.mean(axis=1, keepdims=True)) ** 2, axis=1))
    peak = float(np.nanmax(samples.light[:, row]))
    return np.array([here, pitch, float(across[np.argmax(fit)]), 0.0, _SPOT_ALONG, _SPOT, peak])


def _comb(x: FloatArray, origin: FloatArray, pitch: FloatArray, sigma: float) -> tuple[FloatArray, ...]:
    """Return a row of Gaussians at x, and its derivatives by origin, pitch and sigma; the last sums reach all x."""
    nearest = np.rint((x - origin) / pitch)
    parts = []
    for shift in (-1, 0, 1):
        number = nearest + shift
        off = x - origin - number * pitch
        value = np.exp(-0.5 * (off / sigma) ** 2)
        slope = value * off / sigma**2
        parts.append((value, slope, slope * number, value * off**2 / sigma**3))
    return tuple(np.sum(column, axis=0) for column in zip(*parts, strict=True))


def _model(value: FloatArray, place: FloatArray, step: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return light (k, m) of unit steps, its derivatives (7, k, m), and that by the place of the step (k, m)."""
    origin, pitch, across, slope, wide, high, level = value
    along, by_origin, by_pitch, by_wide = _comb(place, np.asarray(origin), np.asarray(pitch), wide)
    # a row of pinholes is in the slice's middle where step = across + slope * place + whole number
    up, by_up, _, by_high = _comb(step[:, None] - across - slope * place, np.zeros(()), np.ones(()), high)
    by_step = -level * along * by_up
    # derivative by the origin of the comb is minus that by its argument
    columns = np.stack([
        level * by_origin * up, level * by_pitch * up, -by_step, -by_step * place,
        level * by_wide * up, level * along * by_high, along * up,
    ])  # fmt: skip
    return level * along * up, columns, by_step


def _slice(  # noqa: PLR0913 - what a slice is seen in
    samples: MaskSamples,
    row: int,
    value: FloatArray,
    step: FloatArray,
    brightness: FloatArray,
    unsure: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, FloatArray, float]:
    """Return one slice's numbers after a step of Gauss and Newton, their covariance and chi-square; NaN if it fails."""
    light, place = samples.light[:, row], samples.place[:, row]
    known = np.isfinite(light) & np.isfinite(place)
    model, columns, by_step = _model(value, np.where(known, place, 0.0), step)
    by_step = by_step * brightness[:, None]
    model, columns = model * brightness[:, None], columns * brightness[None, :, None]
    variance = np.where(known, samples.variance[:, row], 1.0) + (_MODEL * model) ** 2
    left = np.where(known, light - model, 0.0)
    lost = np.full(_FIELDS, np.nan), np.full((_FIELDS, _FIELDS), np.nan), float("nan")
    kept = known & _within(left, variance, known)
    weight = kept / variance
    design = columns.reshape(_FIELDS, -1)
    normal = (design * weight.ravel()) @ design.T
    try:
        covariance = np.linalg.inv(normal)
    except np.linalg.LinAlgError:
        return lost
    change = covariance @ (design @ (weight * left).ravel())
    chi2 = float(np.sum(weight * left**2) / max(int(kept.sum()) - _FIELDS, 1))
    limit = np.array([2.0, 0.05 * value[1], 0.1, 0.01, 0.2 * value[4], 0.2 * value[5], 0.5 * value[6]])
    found = value + np.clip(change, -limit, limit)
    if not np.isfinite(found).all() or found[4:].min() <= 0:
        return lost
    shared = _shared(columns, weight, model, left, by_step, unsure)
    return found, covariance * max(chi2, 1.0) + covariance @ shared @ covariance, chi2


def _shared(  # noqa: PLR0913 - a fit, and what it takes for granted
    columns: FloatArray,
    weight: FloatArray,
    model: FloatArray,
    left: FloatArray,
    by_step: FloatArray,
    unsure: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Return what errors that many samples share add to the gradient's covariance (7, 7).

    A bin errs alike in all steps, by a share of its light that the scatter of the bins tells; waves of place and
    brightness that the steps are held free of (``unsure``) move all bins.
    """
    strength = np.sum(weight * model**2, axis=0)
    seen = strength > 0
    share = np.sum(weight * left * model, axis=0)[seen] / strength[seen]
    by_noise = seen.sum() / strength.sum()  # weighted mean of what noise makes of the scatter
    excess = float(np.average(share**2, weights=strength[seen])) - by_noise * (
        1.0 + _CHANCE * np.sqrt(2.0 / seen.sum())
    )
    by_bin = np.einsum("ikm,km,km->im", columns, weight, model)
    total = max(excess, 0.0) * by_bin @ by_bin.T
    for slope, waves in zip((by_step, model), unsure, strict=True):
        by_wave = np.einsum("ikm,km,km->ik", columns, weight, slope) @ waves
        total = total + by_wave @ by_wave.T
    return np.asarray(total)


def _within(left: FloatArray, variance: FloatArray, known: BoolArray) -> BoolArray:
    """Return which samples are no outliers, by the scatter that there is."""
    pull = left / np.sqrt(variance)
    spread = max(1.4826 * float(np.median(np.abs(pull[known]))), 1.0)
    return np.asarray(np.abs(pull) < _CLIP * spread)


def _even(value: FloatArray, step: FloatArray, told: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return places or brightness of the steps without waves of the grid, and the waves of one error each (k, waves).

    Where the mask goes a little too far at one phase of its grid and not far enough at another, or the lamp is brighter
    there, slices of that phase seem to be displaced: no fit tells the one from the other, and stage and lamp are taken
    to be even. They may drift, and jitter from step to step.
    """
    count = min(_HARMONICS, (step.size - 4) // 6)
    phase = 2.0 * np.pi * np.outer(step, np.arange(1, count + 1))
    line = np.stack([np.ones(step.size), told - told.mean()], axis=1)
    waves = np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    found = np.linalg.lstsq(np.concatenate([line, waves], axis=1), value, rcond=None)[0]
    rest = value - line @ found[:2] - waves @ found[2:]
    jitter = float(np.sqrt(np.sum(rest**2) / max(step.size - 2 - 2 * count, 1)))
    return line @ found[:2] + rest, waves * jitter * float(np.sqrt(2.0 / step.size))


def _steps(
    samples: MaskSamples, value: FloatArray, step: FloatArray, brightness: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return place and brightness of each step after a step of Gauss and Newton, from all slices."""
    normal, right = np.zeros((step.size, 2, 2)), np.zeros((step.size, 2))
    for row in np.flatnonzero(np.isfinite(value[:, 0])):
        light, place = samples.light[:, row], samples.place[:, row]
        known = np.isfinite(light) & np.isfinite(place)
        model, _, by_step = _model(value[row], np.where(known, place, 0.0), step)
        model, by_step = model * brightness[:, None], by_step * brightness[:, None]
        variance = np.where(known, samples.variance[:, row], 1.0) + (_MODEL * model) ** 2
        left = np.where(known, light - model, 0.0)
        weight = (known & _within(left, variance, known)) / variance
        columns = np.stack([by_step, model], axis=-1)
        normal += np.einsum("kmi,km,kmj->kij", columns, weight, columns)
        right += np.einsum("kmi,km,km->ki", columns, weight, left)
    change = np.linalg.solve(normal, right[..., None])[..., 0]
    return step + np.clip(change[:, 0], -0.1, 0.1), brightness * (1.0 + np.clip(change[:, 1], -0.3, 0.3))

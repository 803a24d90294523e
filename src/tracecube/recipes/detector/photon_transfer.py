"""Gain and linearity of outputs from a lamp at many exposure times: noise against light, light against time.

Noise of differences grows with the light as one electron's worth of counts tells (photon transfer: Janesick 2001).
How counts fall behind the light is told by bright and faint boxes of the same exposures, whose ratio a linear detector
keeps at every exposure time; flicker of the lamp is common to them, and is found beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.outputs import LinearityLevel, OutputLinearity
from tracecube.core.params import Params
from tracecube.kernels.combine import clipped_moments

__all__ = ["TransferParams", "box_numbers", "corrected", "solve_outputs"]

UNIT = 1.0e4
"""adu, in which the polynomial's counts are."""

_ROUNDS = 4
_FULL = 0.6  # of the typical noise for the light
_LEAST = 20.0  # signal-to-noise of a box's light


class TransferParams(Params):
    """Numbers of gain and linearity."""

    order: int = Field(default=2, ge=1, le=4, alias="order", description="Terms of the polynomial but the first")
    offset: float = Field(default=0.018, ge=0, alias="toffset", description="Seconds that the shutter is open besides")
    flicker: float = Field(default=0.01, gt=0, alias="fluxtol", description="Share by which the lamp may change")
    clip: float = Field(default=4.0, gt=1, alias="sigma", description="Errors beyond which a box is left out")
    brightest: float = Field(default=4.7, gt=2, alias="ctsmax", description="Decimal logarithm of the largest counts")


@dataclass(frozen=True)
class Boxes:
    """Light and noise of the boxes of one exposure time; see `LinearityLevel`."""

    signal: FloatArray
    error: FloatArray
    noise: FloatArray
    count: FloatArray


def box_numbers(blocks: Sequence[FloatArray]) -> Boxes:
    """Return the numbers of boxes in some exposures of one length.

    Parameters
    ----------
    blocks : sequence of array (n, pixels), adu
        One an exposure, above the bias level; NaN where a pixel is bad.

    Raises
    ------
    BadData
        One exposure alone: nothing tells its noise.
    """
    if len(blocks) < 2:
        raise BadData("one exposure of this length: its noise cannot be told", hint="take two of each length")
    means = np.stack([np.nanmean(block, axis=1) for block in blocks])
    mean = means.mean(axis=0)
    noise, count = np.zeros(mean.size), np.zeros(mean.size)
    for a, b in zip(range(0, len(blocks) - 1, 2), range(1, len(blocks), 2), strict=True):
        ratio = float(np.median(means[b]) / np.median(means[a]))
        step = blocks[b] / np.sqrt(ratio) - blocks[a] * np.sqrt(ratio)
        step = step - np.nanmedian(step, axis=1, keepdims=True)
        spread = np.array([clipped_moments(one[np.isfinite(one)], clip=5.0)[1] for one in step])
        # each half has its noise at its own brightness: the mean of both, to second order in the difference
        pixels = np.isfinite(step).sum(axis=1) - 1.0
        noise, count = noise + pixels * spread**2 / (ratio + 1.0 / ratio), count + pixels
    noise = noise / np.maximum(count, 1.0)
    pixels = np.isfinite(blocks[0]).sum(axis=1) * len(blocks)
    return Boxes(mean, np.sqrt(noise / np.maximum(pixels, 1)), noise, count)


def solve_outputs(levels: Sequence[LinearityLevel], params: TransferParams) -> OutputLinearity:
    """Return gain and linearity of every output.

    Raises
    ------
    BadData
        Fewer exposure times than the polynomial needs, or too little light.
    """
    ordered = sorted(levels, key=lambda one: (one.seconds, one.mjd))
    if len(ordered) < params.order + 2:
        raise BadData(
            f"{len(ordered)} exposure times: {params.order + 2} are needed", hint="take pairs of more exposure times"
        )
    outputs = np.unique(ordered[0].output)
    rows, light = [], np.zeros(len(ordered))
    for output in outputs:
        boxes = np.unique(np.concatenate([one.box[one.output == output] for one in ordered]))
        signal, error, noise, count = (
            np.stack([_in_boxes(one, name, boxes) for one in ordered])
            for name in ("signal", "signal_error", "noise", "count")
        )
        used = (signal > _LEAST * error) & (signal < 10.0**params.brightest)
        share = noise / np.maximum(signal, 1.0)
        used &= share > _FULL * np.median(share[used])  # full wells have no noise
        seconds = np.array([one.seconds for one in ordered]) + params.offset
        bend, bend_error, lamp = _linearity(signal, error, used, seconds, params)
        light_of = _with_bend(signal, noise, np.where(used, count, 0.0), (bend, bend_error), params)
        rows.append((bend, bend_error, *light_of, float(signal[used].max())))
        light += lamp / outputs.size
    coefficient, covariance, gain, gain_error, floor, floor_error, limit = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return OutputLinearity(
        output=outputs.astype(np.int32),
        gain=gain,
        gain_error=gain_error,
        noise=floor,
        noise_error=floor_error,
        coefficient=coefficient,
        covariance=covariance,
        limit=limit,
        level_seconds=np.array([one.seconds for one in ordered]),
        level_light=np.exp(light),
        unit=UNIT,
        meta=ordered[0].meta,
    )


def _in_boxes(level: LinearityLevel, name: str, boxes: IntArray) -> FloatArray:
    """Return one column of a level for these boxes, 0 where the level lacks one."""
    _, there, mine = np.intersect1d(boxes, level.box, return_indices=True)
    values = np.zeros(boxes.size)
    values[there] = np.asarray(getattr(level, name), np.float64)[mine]
    return values


def corrected(counts: FloatArray, coefficient: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the light (adu) that counts are worth, and its derivative by the counts.

    Examples
    --------
    >>> light, slope = corrected(np.array([0.0, 1e4]), np.array([0.01]))
    >>> light.tolist(), slope.tolist()
    ([0.0, 10100.0], [1.0, 1.02])
    """
    x = np.asarray(counts) / UNIT
    powers = np.arange(1, coefficient.size + 1)
    terms = x[..., None] ** powers
    return np.asarray(counts) * (1.0 + terms @ coefficient), 1.0 + terms @ (coefficient * (powers + 1))


def _linearity(
    signal: FloatArray, error: FloatArray, used: np.ndarray, seconds: FloatArray, params: TransferParams
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the polynomial, its covariance, and the logarithm of the lamp's light in each level.

    ``log counts + log(1 + sum) = log rate of the box + log(time) + light of the lamp``: linear in all that is sought
    once the logarithm is taken about the last polynomial; boxes are taken out by their own means.
    """
    levels, order = signal.shape[0], params.order
    powers = np.arange(1, order + 1)
    bend: FloatArray = np.zeros(order)
    lamp: FloatArray = np.zeros(levels)
    used = used.copy()
    if used.sum(axis=0).max(initial=0) < order + 2:
        raise BadData("no box is lit at enough exposure times", hint="was the lamp on? Take longer exposures")
    safe = np.where(used, signal, UNIT)
    relative = np.where(used, error / safe, 1.0)
    terms = (safe[..., None] / UNIT) ** powers
    for _ in range(_ROUNDS):
        inside = 1.0 + terms @ bend
        slope = terms / inside[..., None]
        value = np.log(safe) + np.log(inside) - np.log(seconds)[:, None] - slope @ bend
        weight = used / relative**2
        design = np.concatenate([np.broadcast_to(np.eye(levels)[:, None, :], (*signal.shape, levels)), -slope], axis=-1)
        normal, right, mine = _without_boxes(design, value, weight)
        prior = np.zeros(levels + order)
        prior[:levels] = params.flicker**-2.0
        covariance = np.linalg.inv(normal + np.diag(prior))
        found = covariance @ right
        left = mine(found)
        freedom = max(int(used.sum()) - signal.shape[1] - levels - order, 1)
        scale = max(float(np.sum(weight * left**2)) / freedom, 1.0)
        lamp, bend = found[:levels], found[levels:]
        spread = max(1.4826 * float(np.median(np.abs(left / relative)[used])), 1.0)
        used = used & (np.abs(left) < params.clip * spread * relative)
    return bend, covariance[levels:, levels:] * scale, lamp - lamp.mean()


def _without_boxes(
    design: FloatArray, value: FloatArray, weight: FloatArray
) -> tuple[FloatArray, FloatArray, Callable[[FloatArray], FloatArray]]:
    """Return normal equations (k, k), right side, and what gives the residuals, each box's own mean taken out."""
    total = np.maximum(weight.sum(axis=0), 1e-30)
    design = design - (np.einsum("lb,lbk->bk", weight, design) / total[:, None])[None]
    value = value - (weight * value).sum(axis=0) / total
    normal = np.einsum("lbi,lb,lbj->ij", design, weight, design)
    right = np.einsum("lbi,lb,lb->i", design, weight, value)
    return normal, right, lambda found: value - design @ found


def _with_bend(
    signal: FloatArray,
    noise: FloatArray,
    count: FloatArray,
    linearity: tuple[FloatArray, FloatArray],
    params: TransferParams,
) -> tuple[float, float, float, float]:
    """Return gain, read noise and their errors as `_transfer`; what the polynomial's covariance does is among these."""
    bend, covariance = linearity
    gain, gain_error, floor, floor_error = _transfer(signal, noise, count, bend, params)
    values, directions = np.linalg.eigh(covariance)
    for step in (np.sqrt(np.maximum(values, 0.0)) * directions).T:
        moved = _transfer(signal, noise, count, bend + step, params)
        gain_error = float(np.hypot(gain_error, moved[0] - gain))
        floor_error = float(np.hypot(floor_error, moved[2] - floor)) if np.isfinite(moved[2]) else floor_error
    return gain, gain_error, floor, floor_error


def _transfer(
    signal: FloatArray, noise: FloatArray, count: FloatArray, bend: FloatArray, params: TransferParams
) -> tuple[float, float, float, float]:
    """Return gain (electron/adu), its error, read noise (electron, NaN if untold) and its error, from light."""
    light, slope = corrected(signal, bend)
    spread = noise * slope**2
    kept = (count > 10) & (signal > 0) & (signal < 10.0**params.brightest)
    x, y, n = light[kept], spread[kept], count[kept]
    if x.size < 10:
        raise BadData("too few boxes are lit", hint="was the lamp on?")
    fit, good = np.array([max(float(np.min(y)), 1e-3), 1.0]), np.ones(x.size, bool)
    design = np.stack([np.ones(x.size), x], axis=1)
    for _ in range(2 * _ROUNDS):
        # variance of a variance of n independent samples is 2 / n of its square, by the model and not the sample
        expected = np.maximum(design @ fit, 1e-3)
        weight = good * n / (2.0 * expected**2)
        covariance = np.linalg.inv((design.T * weight) @ design)
        fit = covariance @ (design.T @ (weight * y))
        left = (y - design @ fit) / expected * np.sqrt(n / 2.0)
        good = np.abs(left) < params.clip * max(1.4826 * float(np.median(np.abs(left))), 1.0)
    scale = max(float(np.mean(left[good] ** 2)), 1.0)
    gain = 1.0 / float(fit[1])
    floor = float(np.sqrt(fit[0])) if fit[0] > 0 else np.nan
    floor_error = 0.5 * float(np.sqrt(covariance[0, 0] * scale)) / floor
    return gain, gain**2 * float(np.sqrt(covariance[1, 1] * scale)), gain * floor, gain * floor_error

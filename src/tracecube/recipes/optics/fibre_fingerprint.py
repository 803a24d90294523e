"""Whose fibres these are: every slit has places of its own, by which the light of other fibres is told.

Fibres are glued into their slit to a tenth of a pixel. A frame's light, measured against the traces of its own fibres,
moves smoothly along the slit, as optics do; against those of other fibres it scatters by what two slits differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import BoolArray, FloatArray

__all__ = ["Likeness", "likeness"]

_REACH = 4  # px on either side of a trace: half the distance of two fibres
_OUTLIER = 8.0  # standard deviations along a row beyond which a pixel was hit
_EVERY = 2  # columns: half of them tell enough
_LEAST = 30  # fibres: fewer tell nothing of a slit
_LIT = 5.0  # signal-to-noise of a fibre's light
_STRANGE = 0.6  # between those of one slit (0 but for noise and stars, 0.3 at most as simulated) and of two (1)
_POWER = 0.3  # errors over a stranger's scatter beyond which the light is too faint to tell


@dataclass(frozen=True)
class Likeness:
    """How the light of a frame lies on the traces of some fibres.

    Parameters
    ----------
    scatter : float, px
        Of the offsets, less a smooth drift along the slit and their own errors; infinite where most traces are dark.
    strange : float, px
        What it would be for two slits that have nothing to do with each other.
    shift : float, px
        Of the middle of the slit.
    telling : bool
        Whether the light is bright enough to tell.
    """

    scatter: float
    strange: float
    shift: float
    telling: bool

    @property
    def same(self) -> bool:
        """Whether the light is these fibres'; so it is held to be where it is too faint to tell."""
        return not self.telling or self.scatter < _STRANGE * self.strange


def likeness(image: FloatArray, variance: FloatArray, centre: FloatArray) -> Likeness:
    """Compare the light of one amplifier with traces.

    Parameters
    ----------
    image, variance : array (rows, columns), electron
        NaN where a pixel does not count.
    centre : array (n, columns)
        Rows of the traces in order along the slit; NaN for fibres without light.

    Returns
    -------
    Likeness
    """
    sparse = (slice(None), slice(None, None, _EVERY))
    offset, error, signal = _offsets(image[sparse], variance[sparse], centre[sparse])
    known = np.isfinite(signal)
    own, strange = _scatter(_slit(centre)), float("nan")
    if own is not None:
        strange = np.sqrt(2.0) * own[0]
    if known.sum() < _LEAST or not np.isfinite(strange):
        return Likeness(0.0, 0.0, 0.0, telling=False)
    if np.median(np.abs(signal[known])) < _LIT:
        return Likeness(0.0, float(strange), 0.0, telling=False)
    lit = known & (signal > _LIT)
    found = _scatter(np.where(lit, offset, np.nan)) if lit.sum() >= max(_LEAST, known.sum() // 2) else None
    if found is None:
        return Likeness(float("inf"), float(strange), float("nan"), telling=True)
    noise = float(np.median(error[lit]))
    scatter = float(np.sqrt(max(found[0] ** 2 - noise**2, 0.0)))
    telling = noise < _POWER * strange or scatter > max(strange, 3.0 * noise)
    return Likeness(scatter, float(strange), found[1], telling=bool(telling))


def _offsets(image: FloatArray, variance: FloatArray, centre: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Offset of each fibre's light (px), its error, and the light over its error; summed along the spectra."""
    known = np.isfinite(centre)
    at = np.where(known, centre, 0.0).astype(np.float32)
    near = np.rint(at)
    rows = near.astype(np.int32)[:, None, :] + np.arange(-_REACH, _REACH + 1, dtype=np.int32)[None, :, None]
    inside = known[:, None, :] & (rows >= 0) & (rows < len(image))
    pixel = np.clip(rows, 0, len(image) - 1) * image.shape[1] + np.arange(image.shape[1], dtype=np.int32)
    light = np.asarray(image, np.float32).ravel()[pixel]
    weight = _good(light, inside & np.isfinite(light))
    light = np.where(weight > 0, light, 0.0)
    noise = weight * (np.asarray(variance, np.float32).ravel()[pixel] + np.maximum(light, 0.0))
    noise = np.where(weight > 0, noise, 0.0)
    edge = np.abs(np.arange(-_REACH, _REACH + 1)) == _REACH
    count = np.maximum(weight[:, edge].sum(axis=(1, 2)), 1.0)
    value = light - weight * (light[:, edge].sum(axis=(1, 2)) / count)[:, None, None]
    away = (near - at)[:, None, :] + np.arange(-_REACH, _REACH + 1, dtype=np.float32)[None, :, None]
    total = np.where(known.any(axis=1), value.sum(axis=(1, 2), dtype=float), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        offset = (value * away).sum(axis=(1, 2), dtype=float) / total
        error = np.sqrt((noise * away**2).sum(axis=(1, 2), dtype=float)) / np.abs(total)
        return offset, error, total / np.sqrt(noise.sum(axis=(1, 2), dtype=float))


def _good(light: FloatArray, good: BoolArray) -> FloatArray:
    """Return 1 for pixels that count and 0 for others: what lies far from the mean along its row was hit."""
    weight = good.astype(np.float32)
    light = np.where(good, light, 0.0)
    for _ in range(2):
        count = np.maximum(weight.sum(axis=2, keepdims=True), 1.0)
        mean = (weight * light).sum(axis=2, keepdims=True) / count
        spread = np.sqrt((weight * (light - mean) ** 2).sum(axis=2, keepdims=True) / count)
        weight *= np.abs(light - mean) <= _OUTLIER * spread
    return weight


def _slit(centre: FloatArray) -> FloatArray:
    """Places of fibres in the middle of their spectra, less those of an even slit with its gaps."""
    place = centre[:, centre.shape[1] // 2]
    known = np.flatnonzero(np.isfinite(place))
    if known.size < _LEAST:
        return np.full(place.size, np.nan)
    step = np.diff(place[known]) / np.diff(known)
    pitch = float(np.median(step))
    count = np.concatenate([[0.0], np.cumsum(np.rint(np.diff(place[known]) / pitch))])
    out = np.full(place.size, np.nan)
    bend = np.polynomial.Polynomial.fit(count, place[known], 3)
    out[known] = place[known] - bend(count)
    return out


def _scatter(values: FloatArray) -> tuple[float, float] | None:
    """Robust scatter about a parabola along the slit, and the parabola's value in the middle; None for too few."""
    index = np.arange(values.size, dtype=float)
    known = np.isfinite(values)
    for _ in range(5):
        if known.sum() < _LEAST:
            return None
        drift = np.polynomial.Polynomial.fit(index[known], values[known], 2)
        away = values - drift(index)
        spread = 1.4826 * float(np.median(np.abs(away[known])))
        known = np.isfinite(away) & (np.abs(away) <= 4.0 * spread)
    return spread, float(drift(0.5 * (values.size - 1)))

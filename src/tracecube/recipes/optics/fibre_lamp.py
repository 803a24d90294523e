"""The frame of an evenly lit lamp while its fibres are modelled: what counts, and how much each pixel is believed.

The variance of a pixel is read noise, the light that the model expects there, and the pixels' own response, whose
scatter the frame itself tells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.frame import Frame

__all__ = ["Lamp", "judge", "opened", "reduced_chi2"]

_SOUND = 5.0  # sigma: pixels that differ by more tell of hits


@dataclass
class Lamp:
    """The frame, and what is known of it so far."""

    data: NDArray[np.float32]
    bad: BoolArray
    floor: NDArray[np.float32]
    shot: float
    ivar: NDArray[np.float32]
    ground: NDArray[np.float32]
    response: float = 0.0  # rms of the pixels' response: a share of the light that no flat has taken out

    def variance(self, light: FloatArray, columns: IntArray | slice) -> FloatArray:
        """Variance of pixels of some columns under so much light."""
        lit = np.maximum(light, 0.0)
        return np.asarray(self.floor[:, columns] + self.shot * lit + (self.response * lit) ** 2)


def opened(frame: Frame, halves: int) -> tuple[Lamp, BoolArray]:
    """Return the frame as it is taken at first, and which of its halves (amplifiers one above the other) are dead.

    Raises
    ------
    BadData
        All are.
    """
    bad = ((frame.flags & NOT_USABLE) != 0) | ~np.isfinite(frame.data) | ~(frame.variance > 0)
    dead = np.array([bool(part.all()) for part in np.split(bad, halves)])
    if dead.all():
        raise BadData("no amplifier of the CCD has a good pixel", hint="leave the CCD out")
    data = np.where(bad, 0.0, frame.data).astype(np.float32)
    floor = np.where(bad, 1.0, frame.variance).astype(np.float32)
    shot = 1.0 / float(frame.meta.get("NCOMBINE") or 1)
    lamp = Lamp(data, bad, floor, shot, np.zeros_like(data), np.zeros_like(data))
    lamp.ivar = np.where(bad, 0.0, 1.0 / lamp.variance(uniform_filter1d(data, 9, axis=1), slice(None)))
    lamp.ivar = lamp.ivar.astype(np.float32)
    return lamp, dead


def judge(lamp: Lamp, light: FloatArray, freedom: FloatArray, columns: IntArray, rules: tuple[float, float]) -> None:
    """Take variance, the pixels' response and outliers from a model of some columns.

    ``rules`` are the deviation, and the share of the light, by which a pixel may be off.
    """
    clip, floor = rules
    model = light + lamp.ground[:, columns]
    left = lamp.data[:, columns] - model
    for _ in range(2):
        variance = lamp.variance(model, columns)
        lamp.response = _response(left, model, variance - (lamp.response * model) ** 2, freedom, lamp.response)
    variance = lamp.variance(model, columns)
    out = np.abs(left) > clip * np.sqrt(variance) + floor * np.maximum(model, 0.0)
    lamp.ivar[:, columns] = np.where(out | lamp.bad[:, columns], 0.0, 1.0 / variance)


def _response(left: FloatArray, model: FloatArray, noise: FloatArray, freedom: FloatArray, old: float) -> float:
    """Scatter of the pixels' response (a share): what pixels a few columns apart differ by beyond their noise.

    An error of the model is the same in both, and cancels.
    """
    apart = 2
    a, b = (slice(None), slice(None, -apart)), (slice(None), slice(apart, None))
    lit = np.maximum(model, 0.0)
    expected = 0.5 * (noise[a] * freedom[a] + noise[b] * freedom[b])
    power = 0.5 * (lit[a] ** 2 * freedom[a] + lit[b] ** 2 * freedom[b])
    found = 0.5 * (left[a] - left[b]) ** 2
    use = (freedom[a] > 0) & (freedom[b] > 0) & (found < _SOUND**2 * (expected + old**2 * power))
    weight = np.where(use, power / np.where(use, expected + old**2 * power, 1.0) ** 2, 0.0)
    total = float((weight * power).sum())
    return float(np.sqrt(max(float((weight * (found - expected)).sum()), 0.0) / total)) if total > 0 else 0.0


def reduced_chi2(lamp: Lamp, light: FloatArray, freedom: FloatArray, where: tuple[slice, IntArray | slice]) -> float:
    """Reduced chi-square of some rows and columns."""
    part, columns = where
    rest = (lamp.data[part] - lamp.ground[part])[:, columns] - light[part]
    left = rest**2 * lamp.ivar[part][:, columns]
    return float(left.sum(dtype=np.float64) / max(float(freedom[part].sum(dtype=np.float64)), 1.0))

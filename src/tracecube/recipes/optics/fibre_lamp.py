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
from tracecube.kernels.lamp_noise import lamp_weights, response_scatter

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
    data, ground, floor = (np.ascontiguousarray(one[:, columns]) for one in (lamp.data, lamp.ground, lamp.floor))
    model = np.asarray(light + ground, np.float32)
    for _ in range(2):
        planes = data, model, floor, np.asarray(freedom, np.float32)
        lamp.response = float(response_scatter(planes, lamp.shot, lamp.response, _SOUND))
    ivar = lamp_weights((data, model, floor), (lamp.shot, lamp.response), rules)
    lamp.ivar[:, columns] = np.where(lamp.bad[:, columns], 0.0, ivar)


def reduced_chi2(lamp: Lamp, light: FloatArray, freedom: FloatArray, where: tuple[slice, IntArray | slice]) -> float:
    """Reduced chi-square of some rows and columns."""
    part, columns = where
    rest = (lamp.data[part] - lamp.ground[part])[:, columns] - light[part]
    left = rest**2 * lamp.ivar[part][:, columns]
    return float(left.sum(dtype=np.float64) / max(float(freedom[part].sum(dtype=np.float64)), 1.0))

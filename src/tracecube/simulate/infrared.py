"""An infrared array run forwards: from the light that falls to the counts of its integrations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.core.detector import Detector
from tracecube.core.fields import FloatArray
from tracecube.simulate.detector import poisson

__all__ = ["InfraredArray", "integrate", "make_array"]

_BAD_SHARE = {"dead": 2e-3, "hot": 3e-3, "noisy": 3e-3}
_HOT_CURRENT = 60.0  # electron/s, mean of the hot pixels
_WANDER = 4.0  # adu: levels of the outputs in one integration
_COMMON = 2.0  # adu: part of it along rows that all outputs share


@dataclass(frozen=True)
class InfraredArray:
    """An array with its flaws, the same all night.

    Parameters
    ----------
    detector : Detector
        Outputs are strips of columns.
    gain : float, electron / adu
    read_noise : array (y, x), electron
        Of one integration.
    response : array (y, x)
        Relative, 0 where dead.
    dark : array (y, x), electron / s
    loss : float
        Share of the signal that is lost at ``linear``, growing with the signal.
    """

    detector: Detector
    gain: float
    read_noise: FloatArray
    response: FloatArray
    dark: FloatArray
    loss: float

    @property
    def bad(self) -> NDArray[np.int16]:
        """Which pixels are bad (y, x): 1 dead, 2 hot, 4 noisy."""
        floor = np.median(self.read_noise)
        bits = np.where(self.response < 0.5, 1, 0) + np.where(self.dark > 5.0, 2, 0)
        return np.asarray(bits + np.where(self.read_noise > 2.0 * floor, 4, 0), np.int16)


def make_array(
    detector: Detector, rng: np.random.Generator, *, gain: float, read_noise: float, loss: float
) -> InfraredArray:
    """Draw the flaws of an array.

    Parameters
    ----------
    detector : Detector
    rng : numpy Generator
    gain : float, electron / adu
    read_noise : float, electron
        Of an unremarkable pixel in one integration.
    loss : float
        Share of the signal lost where the detector's linear range ends.
    """
    shape = detector.shape
    y, x = np.mgrid[-1.0 : 1.0 : shape[0] * 1j, -1.0 : 1.0 : shape[1] * 1j]
    smooth = 1.0 + 0.015 * (rng.normal() * x + rng.normal() * y + rng.normal() * (x * x - y * y))
    response = (smooth * (1.0 + 0.012 * rng.standard_normal(shape))).astype(np.float32)
    noise = (read_noise * np.exp(0.06 * rng.standard_normal(shape))).astype(np.float32)
    dark = (0.012 + 0.003 * rng.standard_normal(shape)).astype(np.float32)
    where = {kind: _scattered(shape, share, rng) for kind, share in _BAD_SHARE.items()}
    response[where["dead"]] *= 0.02
    dark[where["hot"]] += (8.0 + rng.exponential(_HOT_CURRENT, shape)[where["hot"]]).astype(np.float32)
    noise[where["noisy"]] *= rng.uniform(3.0, 12.0, shape)[where["noisy"]].astype(np.float32)
    column = int(rng.integers(100, shape[1] - 100))
    response[rng.integers(0, shape[0] // 2) : rng.integers(shape[0] // 2, shape[0]), column] *= 0.02
    return InfraredArray(detector, gain, noise, response, np.maximum(dark, 0.0), loss)


def _scattered(shape: tuple[int, int], share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Pixels (y, x) spread at random, some in groups of two to nine."""
    found = rng.random(shape) < 0.8 * share
    for _ in range(int(0.2 * share * shape[0] * shape[1] / 4)):
        j, i = rng.integers(0, shape[0] - 3), rng.integers(0, shape[1] - 3)
        found[j : j + rng.integers(1, 4), i : i + rng.integers(1, 4)] = True
    return found


def integrate(
    array: InfraredArray, light: FloatArray | None, dit: float, count: int, rng: np.random.Generator
) -> NDArray[np.int16]:
    """Mean of equal integrations, as one raw image.

    Parameters
    ----------
    array : InfraredArray
    light : array (y, x) or None
        Expected electrons of one integration; None with the shutter closed.
    dit : float, second
    count : int
        Integrations.
    rng : numpy Generator

    Returns
    -------
    int16 array (y, x), adu
    """
    detector = array.detector
    expected = array.dark * dit
    if light is not None:
        expected = expected + np.where(detector.dark(), 0.0, array.response * light)
    total = poisson(np.where(detector.dark(), 0.0, expected) * count, rng) / count
    counts = total / array.gain
    limits = detector.amplifiers[0]
    counts = counts * (1.0 - array.loss * counts / limits.linear)
    noise = array.read_noise / array.gain * rng.standard_normal(counts.shape, np.float32) / np.sqrt(count)
    frame = np.minimum(counts, 1.2 * limits.saturation) + noise + _levels(array, count, rng)
    return np.asarray(np.clip(np.round(frame), -32768, 32767), np.int16)


def _levels(array: InfraredArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Levels of the outputs, and what wanders along the rows in all of them: adu (y, x)."""
    rows, columns = array.detector.shape
    share = 1.0 / np.sqrt(count)
    level = np.zeros((rows, columns), np.float32)
    for amplifier in array.detector.amplifiers:
        place = array.detector.trimmed(amplifier)
        level[:, place.x0 : place.x1] += np.float32(_WANDER * share * rng.standard_normal())
    slow = np.cumsum(rng.standard_normal(rows)) * np.exp(-np.arange(rows) / rows)
    slow = _COMMON * share * (slow - slow.mean()) / max(float(slow.std()), 1e-9)
    return np.asarray(level + slow[:, None].astype(np.float32))

"""Pixels under an even lamp: how much their response scatters, and which are off the light that is expected there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.compiled import compiled

__all__ = ["lamp_weights", "response_scatter"]

F4 = NDArray[np.float32]
_APART = 2  # columns: as far apart, an error of the model is the same in both pixels


@compiled()
def response_scatter(planes: tuple[F4, F4, F4, F4], shot: float, old: float, sound: float) -> float:
    """Scatter of the pixels' response (a share): what pixels two columns apart differ by beyond their noise.

    An error of the model is the same in both, and cancels.

    Parameters
    ----------
    planes : tuple of array (y, x)
        Data, model, variance without light, and the share of the variance that the fit of the model leaves.
    shot : float
        Variance of an electron of light.
    old : float
        Scatter as known so far.
    sound : float
        Deviations beyond which a pair tells of hits.
    """
    data, model, floor, freedom = planes
    rows, columns = data.shape
    score, information = 0.0, 0.0
    for y in range(rows):
        for x in range(columns - _APART):
            z = x + _APART
            fa, fb = freedom[y, x], freedom[y, z]
            if fa <= 0.0 or fb <= 0.0:
                continue
            la, lb = max(model[y, x], 0.0), max(model[y, z], 0.0)
            expected = 0.5 * ((floor[y, x] + shot * la) * fa + (floor[y, z] + shot * lb) * fb)
            power = 0.5 * (la * la * fa + lb * lb * fb)
            total = expected + old * old * power
            step = (data[y, x] - model[y, x]) - (data[y, z] - model[y, z])
            found = 0.5 * step * step
            if found < sound * sound * total:
                weight = power / (total * total)
                score += weight * (found - expected)
                information += weight * power
    return np.sqrt(max(score, 0.0) / information) if information > 0.0 else 0.0


@compiled()
def lamp_weights(planes: tuple[F4, F4, F4], noise: tuple[float, float], rules: tuple[float, float]) -> F4:
    """Inverse variances (y, x) of pixels under so much light; 0 of those that are off it.

    Parameters
    ----------
    planes : tuple of array (y, x)
        Data, model, variance without light.
    noise : (float, float)
        Variance of an electron of light, and the scatter of the pixels' response.
    rules : (float, float)
        The deviations, and the share of the light, by which a pixel may be off.
    """
    data, model, floor = planes
    out = np.zeros(data.shape, np.float32)
    for y in range(data.shape[0]):
        for x in range(data.shape[1]):
            lit = max(model[y, x], 0.0)
            variance = floor[y, x] + noise[0] * lit + (noise[1] * lit) ** 2
            if abs(data[y, x] - model[y, x]) <= rules[0] * np.sqrt(variance) + rules[1] * lit:
                out[y, x] = 1.0 / variance
    return out

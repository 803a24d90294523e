"""Profiles of fibres in a slit: one mean, and a few ways in which fibres depart from it.

A fibre's profile is ``P_i = P + sum_k a_ik M_k`` (`departures`); how columns tell it is in `slit_columns`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

__all__ = ["Curves", "departures", "phased", "with_square"]

F8 = NDArray[np.float64]

_BLUR = 0.5  # px: the mean is smoothed by this before it is differentiated twice and more; pixels see nothing finer


class Curves(NamedTuple):
    """Profile of integral 1 and departures of integral 0, flux centroids at 0.

    Parameters
    ----------
    u : array (k,), px
        Evenly spaced, symmetric about 0.
    shape : array (k, 2 + q)
        The mean, departures, and half the second derivative with the first of these.
    slope : array (k, 2 + q)
        Derivatives with ``u``.
    """

    u: F8
    shape: F8
    slope: F8


def departures(u: F8, mean: F8, count: int) -> Curves:
    """Build the ways in which profiles depart from their mean: a wider image, blur, lean, a sharp core on wide feet.

    A camera's image changes from place to place as if convolved with a narrow kernel whose moments change: its
    departures are derivatives of second order (blur), third (lean) and fourth; beside them stands a change of scale.
    None of them moves the flux or the centroid. Scale changes by tenths: its second order follows as the last curve.

    Parameters
    ----------
    u : array (k,), px
    mean : array (k,)
        Profile of integral 1.
    count : int
        Departures wanted, 1 to 4: of scale, blur, lean, fourth.

    Examples
    --------
    >>> u = np.arange(-400, 401) * 0.02
    >>> curves = departures(u, np.exp(-0.5 * (u / 2.0) ** 2) / np.sqrt(8.0 * np.pi), 3)
    >>> curves.shape.shape, np.abs(curves.shape[:, 1:].sum(axis=0) * 0.02).max() < 1e-9
    ((801, 5), np.True_)
    """
    step = u[1] - u[0]
    sigma = _BLUR / step
    derived = [gaussian_filter1d(mean, sigma, order=k, mode="constant", truncate=8.0) / step**k for k in (2, 3, 4)]
    wider = -(mean + u * np.gradient(mean, step)) - derived[0] / 12.0  # pixels do not widen with the image
    again = -0.5 * (wider + u * np.gradient(wider, step))
    raw = [wider, *derived][:count]
    raw.append(again)
    # what a cut end takes of their flux goes back to the whole profile; their centroids follow from u = 0 alone
    neutral = [one - mean * (one.sum() / mean.sum()) for one in raw]
    shape = np.stack([mean, *neutral], axis=1)
    return Curves(u, shape, np.gradient(shape, step, axis=0))


def with_square(amount: F8) -> F8:
    """Append to departures (..., q) the weight of the last curve: the square of the first."""
    return np.concatenate([amount, amount[..., :1] ** 2], axis=-1)


def phased(curves: Curves) -> tuple[F8, tuple[float, float]]:
    """Curves and slopes by place within a pixel, (phases + 1, 2 + 2 q, pixels), and first place and step.

    All pixels of a fibre lie at the same phase: what is mixed for one is mixed for all, side by side in memory.
    """
    low, step = float(curves.u[0]), float(curves.u[1] - curves.u[0])
    per, last = round(1.0 / step), curves.u.size - 1
    table = np.concatenate([curves.shape, curves.slope], axis=1)
    width = int(np.ceil(last / per)) + 1
    at = np.arange(per + 1)[:, None] + per * np.arange(width)
    inside = (at < last) | ((at == last) & (np.arange(per + 1)[:, None] > 0))
    phases = np.where(inside[:, :, None], table[np.minimum(at, last)], 0.0)
    return np.ascontiguousarray(phases.transpose(0, 2, 1)), (low, step)

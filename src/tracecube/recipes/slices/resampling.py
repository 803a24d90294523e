"""Ways from samples to the voxels of a slab, side by side under one signature: solved for, or weighted means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray, IntArray
from tracecube.kernels.around import standing_out
from tracecube.kernels.voxels import inverse_root, solve_voxels
from tracecube.kernels.weighted_voxels import Weighting, shared_noise, weigh_voxels

__all__ = ["Part", "Sieve", "correlation", "fill", "margin", "shared"]

F4 = NDArray[np.float32]

_DEGREE, _SMALLEST = 6, 0.1  # of the inverse root: noise of voxels and of 5 x 5 bins is right to 2 per cent
_REACHES = 14  # planes on either side: the polynomial of degree 6 reaches 6 times 2 of them
_LEAST = 0.1  # samples in a voxel, by the square of their share: with less it is not measured
_COMPARED = 6  # planes of a slab that tell of the correlation; of fewer where a sample counts in many voxels
_SLIGHT = 1e-3  # correlation that is not worth a row


class Part(NamedTuple):
    """Samples of a slab: place (k, 3; z, y, x in voxels of the slab), value, weight (0 of none), variance by weight."""

    place: F4
    value: F4
    weight: F4
    excess: F4


@dataclass
class Sieve:
    """What holds back samples that stand out of those around (`tracecube.kernels.around`), and counts them.

    Parameters
    ----------
    statistic : str
        Against which they are compared.
    limit : float
        Spreads by which one stands out.
    """

    statistic: str
    limit: float
    caught: int = 0

    def through(self, part: Part, shape: tuple[int, int, int], beside: int) -> Part:
        """Return the samples of a slab, those that stand out without weight; of planes ``beside`` none are counted."""
        out = standing_out(part.place, part.value, _variance(part), shape, statistic=self.statistic, limit=self.limit)
        height = part.place[:, 0] - (beside - 0.5)
        self.caught += int(np.count_nonzero(out & (height >= 0) & (height < shape[0] - 2 * beside)))
        return part._replace(weight=np.where(out, np.float32(0.0), part.weight))


def margin(how: Weighting | None) -> int:
    """Return from how many planes on either side of a slab samples are needed."""
    return _REACHES if how is None else how.span + how.apart + 1


def fill(part: Part, shape: tuple[int, int, int], how: Weighting | None) -> tuple[F4, F4]:
    """Return data and variance of the voxels (z, y, x), NaN where nothing was measured; None is to solve for them."""
    if how is None:
        root = inverse_root(_DEGREE, smallest=_SMALLEST)
        found = solve_voxels(part.place, part.value, part.weight, shape, root=root, least=_LEAST, excess=part.excess)
        return found.data, found.variance
    made = weigh_voxels(part.place, part.value, _variance(part), shape, how)
    return made.data, made.variance


def shared(part: Part, shape: tuple[int, int, int], how: Weighting) -> FloatArray:
    """Return sums of covariances, and of variances, of pairs of voxels in some planes in the middle of a slab."""
    beside = margin(how)
    planes = min(max(_COMPARED // max(how.span, 1) ** 2, 1), shape[0] - 2 * beside)
    first = (shape[0] - planes) // 2
    near = (np.abs(part.place[:, 0] - first) < planes + 2 * beside) & (part.weight > 0)
    place = part.place[near] - np.array([first, 0.0, 0.0], np.float32)
    return np.stack(shared_noise(place, shape[1:], how, planes))


def correlation(sums: Sequence[FloatArray]) -> tuple[IntArray, FloatArray]:
    """Return offsets (k, 3) of pairs of voxels, each pair once, and their correlation coefficients (k,), of slabs."""
    if not sums:
        return np.zeros((0, 3), np.int32), np.zeros(0)
    covariance, mean = np.sum(sums, axis=0)
    value = np.divide(covariance, mean, out=np.zeros_like(mean), where=mean > 0)
    at = np.argwhere(np.abs(value) > _SLIGHT)
    middle = value.shape[0] - 1
    return (at - np.array([0, middle, middle])).astype(np.int32), value[tuple(at.T)]


def _variance(part: Part) -> F4:
    """Return the variance of samples, infinite of those that do not count."""
    nothing = np.full(part.weight.shape, np.inf, np.float32)
    return np.divide(part.excess, part.weight, out=nothing, where=part.weight > 0)

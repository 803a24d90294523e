"""Ways from samples to the voxels of a slab, one behind another under one signature: solved for, or weighted means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray, IntArray
from tracecube.kernels.around import standing_out
from tracecube.kernels.voxels import inverse_root, solve_voxels
from tracecube.kernels.weighted_means import KINDS, Weights, shared_noise, weigh

__all__ = ["SOLVED", "WAYS", "Part", "Resampling", "correlation"]

F4 = NDArray[np.float32]

SOLVED = "decorrelated"
WAYS = (SOLVED, *KINDS)

_DEGREE, _SMALLEST = 6, 0.1  # of the inverse root: noise of voxels and of 5 x 5 bins is right to 2 per cent
_REACHES = 14  # planes on either side: the polynomial of degree 6 reaches 6 times 2 of them
_LEAST = 0.1  # samples in a voxel, by the square of their share: with less it is not measured
_COMPARED = 6  # planes of a slab whose voxels are compared with those around for their correlation
_SLIGHT = 1e-3  # correlation that is not worth a row


class Part(NamedTuple):
    """Samples of a slab: place (k, 3; z, y, x in voxels of the slab), value, weight (0 of none), variance by weight."""

    place: F4
    value: F4
    weight: F4
    excess: F4


@dataclass(frozen=True)
class Resampling:
    """How samples become voxels.

    Parameters
    ----------
    way : str
        One of `WAYS`: the solution with uncorrelated noise, or a weighted mean.
    weights : Weights
        Of the weighted mean.
    statistic : str
        Against which samples are compared with those around before (see `kernels.around`); empty for not at all.
    limit : float
        Spreads by which one stands out and is left out.
    """

    way: str = SOLVED
    weights: Weights = field(default_factory=lambda: Weights(KINDS[0]))
    statistic: str = ""
    limit: float = 15.0

    @property
    def margin(self) -> int:
        """Planes on either side of a slab that its samples come from."""
        return _REACHES if self.way == SOLVED else self.weights.span + self.weights.apart + 1

    def fill(self, part: Part, shape: tuple[int, int, int]) -> tuple[F4, F4]:
        """Return data and variance of the voxels (z, y, x), NaN where nothing was measured."""
        if self.way == SOLVED:
            root = inverse_root(_DEGREE, smallest=_SMALLEST)
            found = solve_voxels(
                part.place, part.value, part.weight, shape, root=root, least=_LEAST, excess=part.excess
            )
            return found.data, found.variance
        made = weigh(part.place, part.value, _variance(part), shape, self.weights)
        return made.data, made.variance

    def without_hits(self, part: Part, shape: tuple[int, int, int]) -> tuple[Part, int]:
        """Return the samples without those that stand out of the ones around, and how many of the slab these are."""
        if not self.statistic:
            return part, 0
        out = standing_out(part.place, part.value, _variance(part), shape, statistic=self.statistic, limit=self.limit)
        height = part.place[:, 0] - (self.margin - 0.5)
        own = (height >= 0) & (height < shape[0] - 2 * self.margin)
        return part._replace(weight=np.where(out, np.float32(0.0), part.weight)), int(np.count_nonzero(out & own))

    def shared(self, part: Part, shape: tuple[int, int, int]) -> FloatArray | None:
        """Return sums of covariances and of variances of pairs of voxels in some planes in the middle; None of none."""
        if self.way == SOLVED:
            return None
        planes = min(_COMPARED, shape[0] - 2 * self.margin)
        first = (shape[0] - planes) // 2
        place = part.place[part.weight > 0]
        near = np.abs(place[:, 0] - first) < planes + 2 * self.margin
        place = place[near] - np.array([first, 0.0, 0.0], np.float32)
        return np.stack(shared_noise(place, shape[1:], self.weights, planes))


def _variance(part: Part) -> F4:
    """Return the variance of samples, infinite of those that do not count."""
    nothing = np.full(part.weight.shape, np.inf, np.float32)
    return np.divide(part.excess, part.weight, out=nothing, where=part.weight > 0)


def correlation(sums: Sequence[FloatArray]) -> tuple[IntArray, FloatArray]:
    """Return offsets (k, 3) of pairs of voxels, each pair once, and their correlation coefficients (k,)."""
    if not sums:
        return np.zeros((0, 3), np.int32), np.zeros(0)
    shared, mean = np.sum(sums, axis=0)
    value = np.divide(shared, mean, out=np.zeros_like(mean), where=mean > 0)
    at = np.argwhere(np.abs(value) > _SLIGHT)
    middle = value.shape[0] - 1
    return (at - np.array([0, middle, middle])).astype(np.int32), value[tuple(at.T)]
